import type { Vouching } from '../../base/vouch.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { callServerStream } from '../../proto/dial.ts';
import { executionServices, HOPS_MAX, relayedExecution } from '../../proto/execution-relay.ts';
import type { ReadRequest__Output } from '../../proto/gen/google/bytestream/ReadRequest.ts';
import type { ReadResponse } from '../../proto/gen/google/bytestream/ReadResponse.ts';
import type { Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { Relay } from '../../proto/relay.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { DialTls } from '../../proto/tls.ts';

/**
 * What a data plane hands on to its coordinator, so that a build tool needs one address only: actions, operations, and logs of
 * actions under way. Blobs and results stay here: the coordinator's process carries none of them.
 */
export interface ExecutionRelay extends Disposable {
  readonly services: readonly ServedService[];
  /** Whether there is a coordinator. */
  readonly isThere: boolean;
  /** From now on calls go there. */
  relayTo(address: string): void;
  /** Whether ByteStream has the name for a log of an action. */
  isLog(resourceName: string): boolean;
  readLog(request: ReadRequest__Output, call: Call): AsyncIterable<ReadResponse>;
}

export function openExecutionRelay(coordinator: string | undefined, env: Env, tls?: DialTls, vouching?: Vouching): ExecutionRelay {
  const relay = new Relay(() => env.clock.now(), tls, vouching);
  let address = coordinator;
  const at = (): string => {
    if (address !== undefined) return address;
    throw new Fault('UNIMPLEMENTED', 'This data plane has no coordinator: it keeps results and runs nothing', {
      hint: 'Start it with --coordinator, or use the data plane of a coordinator.',
    });
  };
  return {
    services: executionServices(relayedExecution(relay, at, env)),
    get isThere() {
      return address !== undefined;
    },
    relayTo: (to) => void (address = to),
    isLog: (name) => /(^|\/)logstreams\/[^/]+$/.test(name),
    readLog(request, call) {
      const client = relay.client(loadProto().google.bytestream.ByteStream, at());
      return callServerStream(client, 'read', request, relay.options(call, HOPS_MAX));
    },
    [Symbol.dispose]: () => relay[Symbol.dispose](),
  };
}

import { Fault, isFault } from '../../base/fault.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import type { Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { handedOn } from '../../proto/relay.ts';
import type { DialTls } from '../../proto/tls.ts';
import type { Vouching } from '../../base/vouch.ts';
import type { Leader } from '../ledger/ledger.ts';

/** The unary calls that only the leader can answer, or can answer best. */
export type ForwardedMethod =
  | 'getServer'
  | 'submitBuild'
  | 'listBuilds'
  | 'cancelBuild'
  | 'retryStep'
  | 'explainStep'
  | 'listAgents'
  | 'setHold'
  | 'scaleIn'
  | 'getTopology'
  | 'getEnvironment'
  | 'listTopologies'
  | 'planTopology'
  | 'applyTopology';

/**
 * Hands calls on to the coordinator that leads, as the caller's own: with its credential, or our word for its certificate, and its
 * deadline, ended when it gives up.
 */
export interface Forwarder extends Disposable {
  /**
   * What the leader answers. @throws {Fault} what it refuses with; NO_LEADER where nobody is known to lead, or where the call
   * was handed on already: then the one that sent it here knows an old leader. It waits no longer than `longestMs`.
   */
  unary(leader: Leader | undefined, method: ForwardedMethod, request: object, call: Call, longestMs?: number): Promise<object>;
}

/** Marks a call that was handed on once. */
const MARK = 'switchyard-forwarded';
const RETRY_MS = 500;
/** Longest wait for the leader's answer where the caller set no deadline. */
const DEADLINE_MS = 120_000;

/** `whyNoLeader` tells what keeps all coordinators from leading, as far as this one knows. */
export function openForwarder(
  now: () => number,
  whyNoLeader: () => string | undefined = () => undefined,
  tls?: DialTls,
  vouching?: Vouching,
): Forwarder {
  let connection: { readonly address: string; readonly client: BuildClient } | undefined;
  const clientOf = (address: string): BuildClient => {
    if (connection?.address === address) return connection.client;
    connection?.client.close(); // calls under way go on
    connection = { address, client: dial(loadProto().switchyard.v1.Build, { address, token: undefined, tls }, 'control') };
    return connection.client;
  };
  return {
    async unary(leader, method, request, call, longestMs = DEADLINE_MS) {
      if (leader === undefined || wasForwarded(call)) throw noLeader(whyNoLeader());
      const authorization = handedOn(call, vouching, now());
      const metadata = { [MARK]: '1', ...(authorization === undefined ? {} : { authorization }) };
      const deadlineMs = Math.min(longestMs, Math.max(1, call.deadlineAt - now()));
      try {
        return await callUnary(clientOf(leader.address), method, request, { signal: call.signal, deadlineMs, metadata });
      } catch (error) {
        if (!isFault(error, 'PEER_UNAVAILABLE')) throw error;
        const message = `The coordinator that leads, at ${leader.address}, does not answer this one: ${error.message}`;
        throw new Fault('PEER_UNAVAILABLE', message, { retryAfterMs: RETRY_MS, cause: error });
      }
    },
    [Symbol.dispose]: () => connection?.client.close(),
  };
}

/** Whether another coordinator has handed the call on to this one. */
export function wasForwarded(call: Call): boolean {
  return call.metadata.get(MARK).length > 0;
}

export function noLeader(why?: string): Fault {
  const message = why === undefined ? 'one takes over within seconds' : `${why}. One takes over once it is back`;
  return new Fault('NO_LEADER', `No coordinator leads at the moment: ${message}`, { retryAfterMs: RETRY_MS });
}

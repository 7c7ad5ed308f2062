import type { Secret } from '../../base/secret.ts';
import { callBidi, dial } from '../../proto/dial.ts';
import type { AgentMessage } from '../../proto/gen/switchyard/v1/AgentMessage.ts';
import type { CoordinatorMessage__Output } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import type { Register } from '../../proto/gen/switchyard/v1/Register.ts';
import type { DialTls } from '../../proto/tls.ts';
import { loadProto } from '../../proto/load.ts';

type Kind = NonNullable<CoordinatorMessage__Output['kind']>;
type MessageOf<K extends Kind> = NonNullable<CoordinatorMessage__Output[K]>;

/** An agent that says what the test tells it to, over the real protocol. */
export interface ScriptedAgent extends AsyncDisposable {
  send(...messages: AgentMessage[]): void;
  /** The next message of the kind, in order; those of other kinds stay. */
  next<K extends Kind>(kind: K): Promise<MessageOf<K>>;
  /** Resolves with what ended the stream, undefined for a clean end. */
  readonly ended: Promise<unknown>;
  /** Breaks the stream. */
  cut(): void;
}

export const REGISTER: Register = {
  agentId: 'edge-1',
  bootId: 'boot-1',
  protocolMin: 1,
  protocolMax: 1,
  labels: { class: 'edge' },
  capacity: { cpuMillis: 4_000, memoryBytes: 4_294_967_296, slots: 4 },
  credits: 4,
  version: 'test',
};

/** Dials and registers; `register` overrides what is said of the agent. */
export function scriptedAgent(address: string, token: Secret | undefined, register: Register = {}, tls?: DialTls): ScriptedAgent {
  const client = dial(loadProto().switchyard.v1.Agent, { address, token, tls }, 'control');
  const stop = new AbortController();
  const outgoing: AgentMessage[] = [{ register: { ...REGISTER, ...register } }];
  const incoming: CoordinatorMessage__Output[] = [];
  let stirOut = Promise.withResolvers<void>();
  let stirIn = Promise.withResolvers<void>();
  const requests = async function* requests() {
    while (!stop.signal.aborted) {
      if (outgoing.length > 0) yield { messages: outgoing.splice(0) };
      else {
        stirOut = Promise.withResolvers();
        await stirOut.promise;
      }
    }
  };
  const read = async (): Promise<unknown> => {
    try {
      await callBidi(client, 'session', requests(), { signal: stop.signal }, ({ messages }) => {
        incoming.push(...messages);
        const stirred = stirIn;
        stirIn = Promise.withResolvers();
        stirred.resolve();
      });
      return undefined;
    } catch (error) {
      return error;
    }
  };
  const ended = read();
  const over = ended.then((error) => {
    throw new Error('The stream ended while the test waited for a message', { cause: error });
  });
  over.catch(() => {});
  return {
    ended,
    send(...messages) {
      outgoing.push(...messages);
      stirOut.resolve();
    },
    async next<K extends Kind>(kind: K): Promise<MessageOf<K>> {
      for (;;) {
        const index = incoming.findIndex((message) => message.kind === kind);
        const found = index < 0 ? undefined : incoming.splice(index, 1)[0]?.[kind];
        if (found !== null && found !== undefined) return found;
        await Promise.race([stirIn.promise, over]);
      }
    },
    cut: () => stop.abort(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      stirOut.resolve();
      await ended;
      client.close();
    },
  };
}

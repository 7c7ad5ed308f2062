import { AssertionFailure } from '../../base/assert.ts';
import { isFault } from '../../base/fault.ts';
import type { Env } from '../../base/env.ts';
import { reasonOf } from '../../base/thrown.ts';
import { callBidi, dial, type Link } from '../../proto/dial.ts';
import type { AgentClient } from '../../proto/gen/switchyard/v1/Agent.ts';
import type { AgentBatch } from '../../proto/gen/switchyard/v1/AgentBatch.ts';
import type { CoordinatorMessage__Output } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import { loadProto } from '../../proto/load.ts';
import type { AgentMessage, CoordinatorMessage } from '../session/message.ts';
import type { Dialler, ReadLog, SessionStream, StreamListener } from '../session/stream.ts';
import { weightOf } from '../session/weight.ts';
import { agentMessageToProto, coordinatorMessageFromProto } from './convert.ts';

/** A batch is closed once its logs and reports have this many bytes, so that a heartbeat never waits behind megabytes. */
const BATCH_BYTES = 256 * 1024;
/** Messages of one batch at most. */
const BATCH_MESSAGES = 256;
/** How long `finish` waits for the coordinator to have everything. */
const FINISH_TIMEOUT_MS = 2_000;

export type SessionDiallerOptions = {
  /** `address` may name several coordinators, with commas between them. */
  readonly link: Link;
  /** Called when a log message is about to leave: the bytes are not held in memory before. */
  readonly readLog: ReadLog;
  readonly env: Env;
};

/** Opens the agent's streams over gRPC, on a connection for control only. */
export function sessionDialler({ link, readLog, env }: SessionDiallerOptions): Dialler {
  return {
    addresses: link.address.split(','),
    open(address, listener) {
      const client = dial(loadProto().switchyard.v1.Agent, { ...link, address }, 'control');
      const controller = new AbortController();
      const outbox = openOutbox(readLog);
      const done = receive(client, controller.signal, outbox, listener).finally(() => {
        outbox.end();
        client.close();
      });
      return streamOver(outbox, controller, done);
    },
  };

  async function receive(client: AgentClient, signal: AbortSignal, outbox: Outbox, listener: StreamListener): Promise<void> {
    try {
      await callBidi(client, 'session', outbox.batches(), { signal }, ({ messages }) => {
        for (const wire of messages) if (!signal.aborted) deliver(wire, outbox, listener);
      });
      if (!signal.aborted) listener.broken('PEER_UNAVAILABLE', 'The coordinator ended the stream');
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      if (signal.aborted) return;
      if (!isFault(error)) env.log.error('session-stream-failed', { error });
      if (isFault(error)) listener.broken(error.code, error.message);
      else listener.broken('INTERNAL', reasonOf(error));
    }
  }
}

/** An offer that makes no sense goes back with the reason; any other message that makes none ends the stream. */
function deliver(wire: CoordinatorMessage__Output, outbox: Outbox, listener: StreamListener): void {
  let message: CoordinatorMessage | undefined;
  try {
    message = coordinatorMessageFromProto(wire);
  } catch (error) {
    if (!wire.offer || !isFault(error)) throw error;
    return outbox.add([{ kind: 'reject', token: wire.offer.token, reason: error.message }]);
  }
  if (message !== undefined) listener.message(message);
}

function streamOver(outbox: Outbox, controller: AbortController, done: Promise<void>): SessionStream {
  return {
    send: (messages) => outbox.add(messages),
    async finish() {
      outbox.end();
      const timeout = setTimeout(() => controller.abort(), FINISH_TIMEOUT_MS);
      await done;
      clearTimeout(timeout);
    },
    close: () => {
      outbox.end();
      controller.abort();
    },
  };
}

/** Messages on their way out: gathered while the connection is busy, at least until the current turn is over. */
interface Outbox {
  add(messages: readonly AgentMessage[]): void;
  end(): void;
  batches(): AsyncIterable<AgentBatch>;
}

function openOutbox(readLog: ReadLog): Outbox {
  let queue: AgentMessage[] = [];
  let over = false;
  let wake: () => void = () => {};
  async function* batches(): AsyncGenerator<AgentBatch, void, void> {
    while (true) {
      if (queue.length === 0) {
        if (over) return;
        await new Promise<void>((resolve) => (wake = resolve));
        await new Promise<void>((resolve) => setImmediate(resolve)); // what else happens in this turn joins the batch
        continue;
      }
      const { batch, rest } = takeBatch(queue, readLog);
      queue = rest;
      if (batch.length > 0) yield { messages: batch };
    }
  }
  return {
    add(messages) {
      if (over) return;
      queue.push(...messages);
      wake();
    },
    end() {
      over = true;
      wake();
    },
    batches,
  };
}

function takeBatch(queue: readonly AgentMessage[], readLog: ReadLog): { batch: NonNullable<AgentBatch['messages']>; rest: AgentMessage[] } {
  const batch: NonNullable<AgentBatch['messages']> = [];
  let bytes = 0;
  let taken = 0;
  for (const message of queue) {
    if (taken === BATCH_MESSAGES || bytes >= BATCH_BYTES) break;
    taken += 1;
    const wire = agentMessageToProto(message, readLog);
    if (wire === undefined) continue;
    batch.push(wire);
    if (message.kind === 'log') bytes += message.length;
    else if (message.kind === 'finished') bytes += weightOf(message.report);
  }
  return { batch, rest: queue.slice(taken) };
}

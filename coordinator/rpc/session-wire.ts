import type { CoordinatorBatch } from '../../proto/gen/switchyard/v1/CoordinatorBatch.ts';
import type { CoordinatorMessage } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { SessionMessage } from '../shell/sessions.ts';

/** What leaves on a session's stream: a batch, or one as bytes of the wire. */
export type Outgoing = CoordinatorBatch | Uint8Array;

/** The Agent service, whose sessions send batches that were made bytes of before too. */
export function agentDefinition(): ServedService['definition'] {
  const { service } = loadProto().switchyard.v1.Agent;
  const { responseSerialize } = service.Session;
  const serialize = (batch: Outgoing) => (batch instanceof Uint8Array ? bufferOf(batch) : responseSerialize(batch));
  return { ...service, Session: { ...service.Session, responseSerialize: serialize } };
}

/** The message alone, as bytes of the wire. */
export function wireOf(message: CoordinatorMessage): Uint8Array {
  return loadProto().switchyard.v1.Agent.service.Session.responseSerialize({ messages: [message] });
}

/**
 * The messages in one batch. With those that were made ready before it is put together of bytes: a batch of several is, on the
 * wire, the batches of each, one after the other.
 */
export function batchOf(messages: readonly SessionMessage[], toProto: (message: SessionMessage) => CoordinatorMessage): Outgoing {
  if (messages.every((message) => readyOf(message) === undefined)) return { messages: messages.map(toProto) };
  const parts = messages.map((message) => readyOf(message) ?? wireOf(toProto(message)));
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

function readyOf(message: SessionMessage): Uint8Array | undefined {
  return message.kind === 'offer' ? message.wire : undefined;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

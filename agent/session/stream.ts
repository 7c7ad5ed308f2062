import type { FaultCode } from '../../base/fault.ts';
import type { AgentMessage, CoordinatorMessage } from './message.ts';

/** What a stream tells its owner. Nothing comes after `broken`, or after the stream was closed. */
export type StreamListener = {
  /** Messages in the order in which the coordinator sent them. */
  readonly message: (message: CoordinatorMessage) => void;
  readonly broken: (code: FaultCode, message: string) => void;
};

/** One connection to a coordinator. */
export interface SessionStream {
  /** Queues messages, in order, to leave after the current turn of the event loop in as few batches as possible. Never blocks or throws. */
  send(messages: readonly AgentMessage[]): void;
  /** Ends it after all that was queued; resolves once the coordinator has it or the stream is broken. */
  finish(): Promise<void>;
  /** Gives it up at once. */
  close(): void;
}

/** Bytes of a log out of the spool; empty where they are gone. */
export type ReadLog = (token: string, offset: number, length: number) => Uint8Array;

/** Opens streams, one at a time. */
export interface Dialler {
  /** Where coordinators may be, host:port; one at least. */
  readonly addresses: readonly string[];
  /** Opens a stream on a connection of its own: one that is half-open is not used again. */
  open(address: string, listener: StreamListener): SessionStream;
}

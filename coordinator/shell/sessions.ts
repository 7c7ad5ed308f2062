import type { DirectoryOutput } from '../../cache/action/result.ts';
import type { Digest } from '../../cache/digest.ts';
import type { Logger } from '../../base/log.ts';
import type { LeaseToken, SessionId, StepId } from '../core/ids.ts';
import type { AgentMessage } from '../core/outcome.ts';
import type { KeptProperty, StepSpec } from '../core/spec.ts';
import { openOutbox, type Outbox } from './outbox.ts';

type CoreMessage<K extends AgentMessage['kind']> = Extract<AgentMessage, { kind: K }>;

/** A dependency cache as its agent has to do with it. */
export type OfferedDependency = {
  readonly name: string;
  readonly paths: readonly string[];
  /** What is placed at some of the paths before the command. */
  readonly placed: readonly DirectoryOutput[];
  /** Whether what is there after a success is stored; where `exact`, only if it could not be placed. */
  readonly save: boolean;
  readonly exact: boolean;
  /** Globs of what is placed, relative to each path; none = all. */
  readonly only: readonly string[];
  /** What is stored beside contents. */
  readonly keeps: readonly KeptProperty[];
};

/** An offer with everything that an agent needs to run it. */
export type FullOffer = CoreMessage<'offer'> & {
  readonly spec: StepSpec;
  /** Root of the whole input tree. */
  readonly inputRoot: Digest;
  readonly instanceName: string;
  readonly dependencies: readonly OfferedDependency[];
  /** The message as it leaves, where it was made ready ahead. */
  readonly wire?: Uint8Array;
};

export type EncodeOffer = (offer: FullOffer) => Uint8Array | undefined;

/** A durable log offset: what is below it can be served by any coordinator. */
export type LogAck = { readonly token: LeaseToken; readonly offset: number };

/** What goes out on an agent's stream. */
export type SessionMessage =
  | Exclude<AgentMessage, { kind: 'offer' | 'registered' }>
  | (CoreMessage<'registered'> & { readonly logs: readonly LogAck[] })
  | FullOffer
  | ({ readonly kind: 'log-ack' } & LogAck);

/**
 * The agents' open streams by session. A message for a session without a stream is dropped: its agent dials again and
 * learns from its registration what it missed. A stream whose agent does not read is cut; its leases stay until they end.
 */
export interface Sessions {
  /**
   * Opens the session's stream. `logs` are the offsets from which the coordinator wants the logs of held leases; `encode` makes
   * `wire` of offers, where that can be done ahead.
   */
  attach(session: SessionId, logs: readonly LogAck[], encode?: EncodeOffer): Outbox<SessionMessage>;
  /** Forgets the stream, if it is still the session's. */
  detach(session: SessionId, outbox: Outbox<SessionMessage>): void;
  tell(session: SessionId, message: AgentMessage): void;
  /** Makes ready what `tell` will be called with, if at all. */
  prepare(session: SessionId, message: AgentMessage): void;
  ackLog(session: SessionId, ack: LogAck): void;
  /** Ends every stream after what is on its way; agents dial again. */
  closeAll(): void;
  /** Open streams, messages that wait for their readers, and readers that were cut off since the start. */
  readonly counts: { readonly open: number; readonly waiting: number; readonly cut: number };
}

export type SessionsOptions = {
  /** Completes an offer; undefined where step or action have gone meanwhile. */
  readonly complete: (step: StepId) => Omit<FullOffer, keyof CoreMessage<'offer'>> | undefined;
  readonly log: Logger;
  readonly limits?: { readonly waitingMax: number; readonly batchMax: number };
};

/**
 * Sixteen messages a batch already carry most of what batching gives. A batch of the largest offers (`LIMITS.stepSpecBytes`)
 * is half of what agents take as one message.
 */
const DEFAULT_LIMITS = { waitingMax: 8_192, batchMax: 64 };

type Stream = { readonly outbox: Outbox<SessionMessage>; readonly logs: readonly LogAck[]; readonly encode: EncodeOffer | undefined };

export function openSessions(options: SessionsOptions): Sessions {
  const streams = new Map<SessionId, Stream>();
  /** Offers that were made ready, by what the core says of them. */
  const ready = new WeakMap<AgentMessage, FullOffer>();
  const complete = (message: CoreMessage<'offer'>): FullOffer | undefined => {
    const rest = options.complete(message.step);
    return rest === undefined ? undefined : { ...message, ...rest };
  };
  let cut = 0;
  return {
    get counts() {
      let waiting = 0;
      for (const { outbox } of streams.values()) waiting += outbox.waiting;
      return { open: streams.size, waiting, cut };
    },
    attach(session, logs, encode) {
      const outbox = openOutbox<SessionMessage>(options.limits ?? DEFAULT_LIMITS, () => (cut += 1));
      streams.get(session)?.outbox.close();
      streams.set(session, { outbox, logs, encode });
      return outbox;
    },
    detach(session, outbox) {
      if (streams.get(session)?.outbox === outbox) streams.delete(session);
    },
    tell(session, message) {
      const stream = streams.get(session);
      if (stream === undefined) return;
      if (message.kind === 'registered') {
        stream.outbox.push({ ...message, logs: stream.logs });
      } else if (message.kind === 'offer') {
        const offer = ready.get(message) ?? complete(message);
        if (offer === undefined) options.log.warn('offer-without-step', { step: message.step, token: message.token });
        else stream.outbox.push(offer);
      } else {
        stream.outbox.push(message);
        if (message.kind === 'superseded') stream.outbox.close();
      }
    },
    prepare(session, message) {
      const encode = message.kind === 'offer' ? streams.get(session)?.encode : undefined;
      if (message.kind !== 'offer' || encode === undefined) return;
      const offer = complete(message);
      const wire = offer === undefined ? undefined : encode(offer);
      if (offer !== undefined && wire !== undefined) ready.set(message, { ...offer, wire });
    },
    ackLog(session, ack) {
      streams.get(session)?.outbox.push({ kind: 'log-ack', ...ack });
    },
    closeAll() {
      for (const stream of streams.values()) stream.outbox.close();
      streams.clear();
    },
  };
}

import type { Prng } from '../../../base/prng.ts';
import type { AgentMessage, CoordinatorMessage } from '../../../agent/session/message.ts';
import type { Dialler, SessionStream, StreamListener } from '../../../agent/session/stream.ts';

type Finished = Extract<AgentMessage, { kind: 'finished' }>;

/** What was done to completions on their way. */
export const COMPLETION_FAULTS = ['doubled', 'delayed', 'reordered', 'lost', 'redirected', 'repeated-late'] as const;

export type CompletionFault = (typeof COMPLETION_FAULTS)[number];

/** Agents' streams that other agents' completions stray into. */
export type Strays = Set<SessionStream>;

export type FaultyOptions = {
  readonly next: Dialler;
  readonly prng: Prng;
  readonly strays: Strays;
  /** Completions that are still to be sent, or to be sent again. */
  readonly pending: Set<object>;
  readonly count: (fault: CompletionFault) => void;
  /** Every message from a coordinator, before the agent hears it. */
  readonly heard: (message: CoordinatorMessage) => void;
};

/** Longest delay of a completion, and of a repeat that comes when nobody expects it any more: leaders change meanwhile. */
const DELAY_MS = 60;
const LATE_MS = 2_500;
/** In a thousand completions; the rest is shared by the other faults. A loss costs a stream. */
const LOST_PER_THOUSAND = 12;

/** A dialler whose streams deliver no completion as it was sent: every one meets exactly one fault. */
export function faultyDialler(options: FaultyOptions): Dialler {
  return {
    addresses: options.next.addresses,
    open: (address, listener) => new FaultyStream(options, address, listener),
  };
}

class FaultyStream implements SessionStream {
  readonly #options: FaultyOptions;
  readonly #stream: SessionStream;
  readonly #listener: StreamListener;
  #broken = false;
  /** A completion that lets those behind it go first. */
  #held: Finished | undefined;

  constructor(options: FaultyOptions, address: string, listener: StreamListener) {
    this.#options = options;
    this.#listener = listener;
    this.#stream = options.next.open(address, {
      message: (message) => {
        options.heard(message);
        listener.message(message);
      },
      broken: (code, message) => {
        this.#leave();
        listener.broken(code, message);
      },
    });
    options.strays.add(this.#stream);
  }

  send(messages: readonly AgentMessage[]): void {
    this.#stream.send(messages.flatMap((message) => (message.kind === 'finished' ? this.#harm(message) : message)));
  }

  finish(): Promise<void> {
    this.#leave();
    return this.#stream.finish();
  }

  close(): void {
    this.#leave();
    this.#stream.close();
  }

  /** What leaves at once in the place of the completion. */
  #harm(message: Finished): readonly AgentMessage[] {
    const fault = this.#fault();
    this.#options.count(fault);
    switch (fault) {
      case 'doubled':
        return [message, message];
      case 'delayed':
        this.#later([message], DELAY_MS);
        return [];
      case 'reordered': {
        const before = this.#held;
        this.#held = message;
        setTimeout(() => this.#release(message), DELAY_MS);
        return before === undefined ? [] : [before];
      }
      case 'lost':
        // Streams lose nothing but their end: so what is lost takes the stream with it.
        queueMicrotask(() => this.#break());
        return [];
      case 'redirected': {
        const others = [...this.#options.strays].filter((stream) => stream !== this.#stream);
        others[Math.floor(this.#options.prng.next() * others.length)]?.send([message]);
        this.#later([message], DELAY_MS);
        return [];
      }
      case 'repeated-late':
        this.#later([message, message], LATE_MS);
        return [message];
    }
  }

  #fault(): CompletionFault {
    const { prng } = this.#options;
    if (prng.next() * 1_000 < LOST_PER_THOUSAND) return 'lost';
    const others = COMPLETION_FAULTS.filter((fault) => fault !== 'lost');
    return others[Math.floor(prng.next() * others.length)] ?? 'doubled';
  }

  /** Sends on this stream, which may be over by then, or on whichever is open, which may be another agent's at another leader. */
  #later(messages: readonly Finished[], withinMs: number): void {
    const { pending } = this.#options;
    pending.add(messages);
    setTimeout(() => {
      pending.delete(messages);
      const stream = this.#broken ? [...this.#options.strays].at(-1) : this.#stream;
      stream?.send(messages);
    }, this.#options.prng.next() * withinMs);
  }

  #release(message: Finished): void {
    if (this.#held !== message) return;
    this.#held = undefined;
    if (!this.#broken) this.#stream.send([message]);
  }

  #break(): void {
    if (this.#broken) return;
    this.close();
    this.#listener.broken('PEER_UNAVAILABLE', 'cut by the test');
  }

  #leave(): void {
    this.#broken = true;
    this.#options.strays.delete(this.#stream);
  }
}

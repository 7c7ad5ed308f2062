import { Fault } from '../../base/fault.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import { decodeRow, encodeRecord, type RowChange } from '../../coordinator/ledger/codec.ts';
import type { Leader, LogRecord, Term } from '../../coordinator/ledger/ledger.ts';
import { MemoryRows } from '../../coordinator/ledger/memory-rows.ts';
import type { World } from './world.ts';

/** Ways in which a store can be wrong on purpose. */
export type StoreBreaks = {
  /** Commits of any term are taken. */
  readonly unfenced?: boolean;
  /** Whoever asks for the lead gets it. */
  readonly generous?: boolean;
  /** After a loss everything goes on as if nothing were missing. */
  readonly loseSilently?: boolean;
  /** A commit that does not follow the last one is turned down, and the one after it is taken. */
  readonly forgiving?: boolean;
};

/** What the store did, at the instant at which it did it. */
export type StoreDeed =
  | { readonly kind: 'led'; readonly term: Term; readonly holder: string }
  | { readonly kind: 'resigned'; readonly term: Term }
  | { readonly kind: 'durable'; readonly term: Term; readonly records: readonly LedgerRecord[] }
  /** A change under the term was turned down. */
  | { readonly kind: 'refused'; readonly term: Term; readonly what: 'commit' | 'renewal' };

/** What a store that keeps copies of itself would copy: who leads, how long, and how much it has committed. */
type Leading = {
  readonly term: Term;
  readonly holder: Leader;
  readonly untilMs: number;
  readonly commits: number;
  /** Under which run of the store the term began. */
  readonly run: number;
};

type Entry = {
  readonly changes: readonly RowChange[];
  readonly records: readonly LedgerRecord[];
  readonly leading: Leading | undefined;
  readonly counter: number;
  readonly incarnation: string;
  readonly isLead: boolean;
};

/**
 * A ledger that several coordinators share, with the semantics of the Redis one, over the rows and the codec of production.
 * Each commit is one compare-and-set on the term and on its number within the term, so a commit that is sent again is
 * recognised. The store may restart, and then forget the newest of what it did: it goes back to a state that it was in, the
 * leadership included. A renewal notices every restart, a commit notices that earlier ones are gone.
 */
export class Store {
  readonly #world: World;
  readonly #nonce: () => string;
  readonly #tell: (deed: StoreDeed) => void;
  readonly #breaks: StoreBreaks;
  #rows = new MemoryRows();
  #journal: Entry[] = [];
  #leading: Leading | undefined;
  #counter = 0;
  #incarnation: string;
  #run = 0;
  /** Until when nothing is answered. */
  downUntil = 0;
  /** When somebody should look who leads. */
  onHint: () => void = () => {};

  constructor(world: World, nonce: () => string, tell: (deed: StoreDeed) => void, breaks: StoreBreaks = {}) {
    this.#world = world;
    this.#nonce = nonce;
    this.#tell = tell;
    this.#breaks = breaks;
    this.#incarnation = nonce();
  }

  /** Which start of the store this is: what was on its way to an earlier one does not arrive. */
  get run(): number {
    return this.#run;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  /** Entries that could be lost. */
  get length(): number {
    return this.#journal.length;
  }

  /** The term whose holder may commit. */
  get term(): Term | undefined {
    return this.#leading?.term;
  }

  lead(holder: Leader, ttlMs: number): Term | undefined {
    const { now } = this.#world;
    const current = this.#leading;
    const taken = current !== undefined && current.holder.id !== holder.id && now < current.untilMs;
    if (taken && this.#breaks.generous !== true) return undefined;
    if (current !== undefined && current.run !== this.#run && this.#breaks.loseSilently !== true) this.#incarnation = this.#nonce();
    this.#rows.dropOrphans();
    this.#counter += 1;
    const term = { counter: this.#counter, nonce: this.#nonce(), incarnation: this.#incarnation };
    this.#leading = { term, holder, untilMs: now + ttlMs, commits: 0, run: this.#run };
    this.#note([], [], true);
    this.#tell({ kind: 'led', term, holder: holder.id });
    return term;
  }

  /** @throws {Fault} LEDGER_FENCED */
  renew(term: Term, ttlMs: number): void {
    const current = this.#require(term, 'renewal');
    if (current.run !== this.#run && this.#breaks.loseSilently !== true) throw this.#refusal(term, 'renewal', 'the ledger was restarted');
    this.#leading = { ...current, untilMs: this.#world.now + ttlMs };
    this.#note([], [], false);
  }

  resign(term: Term): void {
    if (this.#leading === undefined || !isSame(this.#leading.term, term)) return;
    this.#leading = undefined;
    this.#note([], [], false);
    this.#tell({ kind: 'resigned', term });
    this.onHint();
  }

  /** `number` counts the term's commits from 1. Returns false where it has been applied before. @throws {Fault} LEDGER_FENCED */
  commit(term: Term, number: number, records: readonly (LedgerRecord | LogRecord)[]): boolean {
    if (this.#breaks.unfenced !== true) {
      const current = this.#require(term, 'commit');
      // A copy that was overtaken by its repetition, or by what came after it: nobody waits for its answer any more.
      if (number <= current.commits) return false;
      if (number !== current.commits + 1 && this.#breaks.loseSilently !== true) {
        if (this.#breaks.forgiving === true) this.#leading = { ...current, commits: number };
        throw this.#refusal(term, 'commit', `commit ${number} came after commit ${current.commits}`);
      }
      this.#leading = { ...current, commits: number };
    }
    const changes = records.map(encodeRecord);
    this.#rows.apply(changes);
    const states = records.filter(isState);
    this.#note(changes, states, false);
    this.#tell({ kind: 'durable', term, records: states });
    return true;
  }

  /** Its own wall clock. */
  now(): number {
    return this.#world.clock.now();
  }

  leader(): Leader | undefined {
    return this.#leading !== undefined && this.#world.now < this.#leading.untilMs ? this.#leading.holder : undefined;
  }

  load(): readonly LedgerRecord[] {
    return [...this.#rows.batches()].flatMap((batch) => batch.map(decodeRow));
  }

  /** It is started again, without the newest `count` of what it did. */
  restart(count: number): void {
    this.#run += 1;
    if (count === 0) return;
    this.#journal.length = Math.max(0, this.#journal.length - count);
    this.#rows = new MemoryRows();
    for (const { changes, isLead } of this.#journal) {
      if (isLead) this.#rows.dropOrphans();
      this.#rows.apply(changes);
    }
    const last = this.#journal.at(-1);
    this.#leading = last?.leading;
    this.#counter = last?.counter ?? 0;
    this.#incarnation = last?.incarnation ?? this.#nonce();
  }

  /** What it has, as the records that made it, in order; a `lead` drops what belongs to no build. */
  *history(): Iterable<{ readonly records: readonly LedgerRecord[]; readonly isLead: boolean }> {
    yield* this.#journal;
  }

  #require(term: Term, what: 'commit' | 'renewal'): Leading {
    if (this.#leading !== undefined && isSame(this.#leading.term, term)) return this.#leading;
    throw this.#refusal(term, what, 'another coordinator has taken the term');
  }

  #refusal(term: Term, what: 'commit' | 'renewal', why: string): Fault {
    this.#tell({ kind: 'refused', term, what });
    return new Fault('LEDGER_FENCED', `Refused: ${why}`);
  }

  #note(changes: readonly RowChange[], records: readonly LedgerRecord[], isLead: boolean): void {
    this.#journal.push({
      changes,
      records,
      isLead,
      leading: this.#leading,
      counter: this.#counter,
      incarnation: this.#incarnation,
    });
  }
}

function isSame(left: Term, right: Term): boolean {
  return left.counter === right.counter && left.nonce === right.nonce && left.incarnation === right.incarnation;
}

function isState(record: LedgerRecord | LogRecord): record is LedgerRecord {
  return !record.kind.startsWith('log-');
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { unreachable } from '../../../base/assert.ts';
import { hashOf, sizeOf } from '../../../cache/digest.ts';
import { encodeRecord, newestOf, type RowChange, type RowClass } from '../codec.ts';
import type { LedgerRecord } from '../../core/record.ts';
import type { LogRecord } from '../ledger.ts';
import type { RedisKeys } from './keys.ts';

/** An argument of a call. */
export type Arg = string | number | Uint8Array;

/** One operation of `ops.lua`: its letter, the key that it is on (those without one are on the shared keys), its arguments. */
export type Operation = { readonly op: string; readonly key: string | undefined; readonly args: readonly Arg[] };

/** Operations that are applied in one call. */
export type Slice = {
  /** Keys beyond the three that every call has. */
  readonly keys: readonly string[];
  /** As `ops.lua` reads them. */
  readonly list: readonly Arg[];
};

/**
 * No slice is larger, so that no call holds Redis for long; a single operation may be. A record is four operations at most,
 * so that 64 small ones are one slice.
 */
export const SLICE_OPERATIONS = 256;
export const SLICE_BYTES = 262_144;

/** Events of a build that become one entry of its stream: each entry costs Redis several microseconds, whatever is in it. */
export const ENTRY_EVENTS = 16;

/** Records that are made operations of in one turn of the event loop: a few milliseconds. */
export const TURN_RECORDS = 512;

/** Keys that `ops.lua` finds at the first three places: meta, builds, partial. */
const SHARED_KEYS = 3;

/** The tokens of the logs that a build has in Redis, for the operations that forget it. */
export type TokensOf = (build: string) => readonly string[];

/** What the records do, as operations in their order. */
export function operationsOf(records: readonly (LedgerRecord | LogRecord)[], keys: RedisKeys, tokensOf: TokensOf): readonly Operation[] {
  const compiler = new Compiler(keys, tokensOf);
  for (const record of newestOf(records)) compiler.add(encodeRecord(record));
  return compiler.finish();
}

/** As `operationsOf`, for any number of records: other work of the process has its turns in between. */
export async function operationsInTurns(
  records: readonly (LedgerRecord | LogRecord)[],
  keys: RedisKeys,
  tokensOf: TokensOf,
): Promise<readonly Operation[]> {
  const compiler = new Compiler(keys, tokensOf);
  const newest = newestOf(records);
  for (let from = 0; from < newest.length; from += TURN_RECORDS) {
    if (from > 0) await nextTurn();
    for (const record of newest.slice(from, from + TURN_RECORDS)) compiler.add(encodeRecord(record));
  }
  return compiler.finish();
}

/** Whether the operations free memory and take none to speak of: then they go through where memory is short. */
export function onlyFree(operations: readonly Operation[]): boolean {
  return operations.every(({ op }) => 'DURFSP'.includes(op));
}

/** Operations in calls of bounded size, in their order. */
export function slicesOf(operations: readonly Operation[]): readonly Slice[] {
  const slices: Slice[] = [];
  let group: Operation[] = [];
  let bytes = 0;
  for (const operation of operations) {
    const size = bytesOf(operation);
    if (group.length >= SLICE_OPERATIONS || (group.length > 0 && bytes + size > SLICE_BYTES)) {
      slices.push(sliceOf(group));
      group = [];
      bytes = 0;
    }
    group.push(operation);
    bytes += size;
  }
  if (group.length > 0) slices.push(sliceOf(group));
  return slices;
}

/** A slice as the list that `stage.lua` keeps: how many keys, the keys, the operations. */
export function stagedList({ keys, list }: Slice): readonly Arg[] {
  return [String(keys.length), ...keys, ...list];
}

function sliceOf(operations: readonly Operation[]): Slice {
  const indexes = new Map<string, number>();
  const list: Arg[] = [];
  for (const { op, key, args } of operations) {
    list.push(op);
    if (key !== undefined) {
      const index = indexes.get(key) ?? indexes.size + SHARED_KEYS + 1;
      indexes.set(key, index);
      list.push(String(index));
    }
    list.push(...args);
  }
  return { keys: [...indexes.keys()], list };
}

function bytesOf({ key, args }: Operation): number {
  let bytes = 8 + (key?.length ?? 0);
  for (const arg of args) bytes += typeof arg === 'string' ? arg.length : typeof arg === 'number' ? 8 : arg.byteLength;
  return bytes;
}

/** Events with consecutive numbers, and the arguments of the operation that appends them. */
type StreamEntry = { lastSeq: number; count: number; readonly args: Arg[] };

class Compiler {
  readonly #keys: RedisKeys;
  readonly #tokensOf: TokensOf;
  readonly #operations: Operation[] = [];
  /** Builds that were written to. */
  readonly #touched = new Set<string>();
  /** Builds whose build record is among the records. */
  readonly #accepted = new Set<string>();
  /** Tokens that the records themselves bring, by build. */
  readonly #tokens = new Map<string, Set<string>>();
  /** The newest entry of each build's stream, which further events may join. */
  readonly #entries = new Map<string, StreamEntry>();

  constructor(keys: RedisKeys, tokensOf: TokensOf) {
    this.#keys = keys;
    this.#tokensOf = tokensOf;
  }

  add(change: RowChange): void {
    switch (change.kind) {
      case 'put':
        return this.#put(change.class, change.key, change.body);
      case 'drop':
        return this.#push('D', this.#tableOf(change.class), change.key);
      case 'event':
        return this.#event(change);
      case 'forget':
        return this.#forget(change.build);
      case 'log-chunk':
      case 'log-segment':
      case 'log-sealed':
      case 'log-forgotten':
        return this.#log(change);
      default:
        return unreachable(change);
    }
  }

  finish(): readonly Operation[] {
    for (const build of this.#touched) if (!this.#accepted.has(build)) this.#push('P', undefined, build);
    return this.#operations;
  }

  #push(op: string, key: string | undefined, ...args: readonly Arg[]): void {
    this.#operations.push({ op, key, args });
  }

  #put(rowClass: RowClass, key: string, body: string): void {
    switch (rowClass) {
      case 'session':
      case 'hold':
      case 'topology':
        return this.#push('H', this.#tableOf(rowClass), key, body);
      case 'build':
        this.#push('H', this.#keys.rows(key), 'build', body);
        this.#accepted.add(key);
        return this.#push('B', undefined, key);
      case 'build-state':
        this.#touched.add(key);
        return this.#push('H', this.#keys.rows(key), 'state', body);
      case 'step-spec':
      case 'step': {
        const slash = key.indexOf('/');
        const build = key.slice(0, slash);
        this.#touched.add(build);
        return this.#push('H', this.#keys.rows(build), fieldOf(rowClass, key.slice(slash + 1)), body);
      }
      default:
        return unreachable(rowClass);
    }
  }

  #event({ build, seq, body }: Extract<RowChange, { kind: 'event' }>): void {
    this.#touched.add(build);
    const open = this.#entries.get(build);
    if (open?.lastSeq === seq - 1 && open.count < ENTRY_EVENTS) {
      open.lastSeq = seq;
      open.count += 1;
      open.args[0] = String(open.lastSeq);
      open.args[1] = String(open.count);
      open.args.push(body);
      return;
    }
    const args = [String(seq), '1', body];
    this.#entries.set(build, { lastSeq: seq, count: 1, args });
    this.#operations.push({ op: 'X', key: this.#keys.events(build), args });
  }

  #tableOf(rowClass: RowClass): string {
    if (rowClass === 'topology') return this.#keys.topologies;
    return rowClass === 'session' ? this.#keys.sessions : this.#keys.holds;
  }

  #forget(build: string): void {
    const tokens = new Set([...this.#tokensOf(build), ...(this.#tokens.get(build) ?? [])]);
    for (const token of tokens) this.#push('U', this.#keys.log(token));
    for (const key of [this.#keys.tokens(build), this.#keys.events(build), this.#keys.rows(build)]) this.#push('U', key);
    this.#push('F', undefined, build);
    this.#accepted.delete(build);
    this.#touched.delete(build);
    this.#tokens.delete(build);
    this.#entries.delete(build);
  }

  #log(change: LogRecord): void {
    const { build, token } = change;
    const key = this.#keys.log(token);
    if (change.kind === 'log-forgotten') {
      this.#tokens.get(build)?.delete(token);
      this.#push('U', key);
      return this.#push('R', this.#keys.tokens(build), token);
    }
    this.#touched.add(build);
    const known = this.#tokens.get(build) ?? new Set();
    this.#tokens.set(build, known);
    if (!known.has(token)) this.#push('A', this.#keys.tokens(build), token);
    known.add(token);
    switch (change.kind) {
      case 'log-chunk':
        return this.#push('H', key, `c${change.offset}`, change.bytes);
      case 'log-segment':
        this.#push('H', key, `s${change.offset}`, change.digest);
        return this.#push('S', key, String(change.offset + sizeOf(change.digest)));
      case 'log-sealed':
        this.#push('U', key);
        // Values of up to 64 bytes keep a hash in its compact form, a quarter of the other.
        this.#push('H', key, 'sealed', hashOf(change.digest));
        return this.#push('H', key, 'size', `${sizeOf(change.digest)} ${change.truncated ? 1 : 0}`);
      default:
        return unreachable(change);
    }
  }
}

/** The field of a step's row in its build's hash. */
export function fieldOf(rowClass: 'step-spec' | 'step', name: string): string {
  return `${rowClass === 'step-spec' ? 'spec' : 'step'}/${name}`;
}

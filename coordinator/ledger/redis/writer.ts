import type { Env } from '../../../base/env.ts';
import { Fault, wrap } from '../../../base/fault.ts';
import type { LedgerRecord } from '../../core/record.ts';
import { buildsOf } from '../hints.ts';
import type { LogRecord, Term } from '../ledger.ts';
import { scriptAnswer, strange, texts } from './answers.ts';
import type { Call } from './connection.ts';
import { callDurably, type DurableOptions } from './durable.ts';
import type { RedisKeys } from './keys.ts';
import { onlyFree, operationsInTurns, operationsOf, slicesOf, stagedList, TURN_RECORDS, type Arg, type Slice } from './operations.ts';
import type { Patience } from './patience.ts';
import { command } from './reader.ts';
import type { Script, Scripts } from './scripts.ts';

/** A term that this process holds, as far as it knows. */
export type HeldTerm = {
  readonly term: Term;
  /** Monotonic time at which another may lead. */
  endsAt: number;
  /** The newest commit that was acknowledged. */
  acknowledged: number;
  /** Why nothing more may be committed: a commit whose fate is unknown. */
  broken: Fault | undefined;
};

export type WriterOptions = DurableOptions & {
  readonly keys: RedisKeys;
  readonly scripts: Scripts;
  readonly patience: Patience;
  readonly env: Env;
};

type Records = readonly (LedgerRecord | LogRecord)[];

/** Commits, one at a time: each names the one before it. */
export class Writer {
  readonly #options: WriterOptions;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Commits the records as the next commit of the held term. @throws {Fault} as `Ledger.commit` */
  commit(held: HeldTerm, records: Records): Promise<void> {
    // What the records are now: the caller may change a small commit's while others wait.
    const hint = buildsOf(records).join(',');
    const tokens = new Map<string, readonly string[]>();
    const { keys } = this.#options;
    const tokensOf = (build: string) => tokens.get(build) ?? [];
    const forgotten = records.flatMap((record) => (record.kind === 'build-forgotten' ? [record.id] : []));
    const isSmall = forgotten.length === 0 && records.length <= TURN_RECORDS;
    const early = isSmall ? operationsOf(records, keys, tokensOf) : undefined;
    const turn = this.#tail.then(async () => {
      if (held.broken !== undefined) throw held.broken;
      try {
        for (const build of forgotten) tokens.set(build, await this.#tokensOf(held, build));
        const operations = early ?? (await operationsInTurns(records, keys, tokensOf));
        const slices = slicesOf(operations);
        const number = held.acknowledged + 1;
        if (slices.length <= 1) await this.#small(held, number, slices[0] ?? { keys: [], list: [] }, onlyFree(operations), hint);
        else await this.#large(held, number, slices, hint);
        held.acknowledged = number;
      } catch (error) {
        held.broken = wrap(error, 'Committing to Redis');
        throw held.broken;
      }
    });
    this.#tail = turn.catch(() => {});
    return turn;
  }

  async #small(held: HeldTerm, number: number, slice: Slice, frees: boolean, hint: string): Promise<void> {
    const { keys, scripts } = this.#options;
    const script = frees ? scripts.free : scripts.commit;
    await this.#run(held, script, slice.keys, [number, keys.hints, hint, ...slice.list], true);
  }

  /** Slices are staged, then one small call decides, then they are applied: a successor finishes what was decided. */
  async #large(held: HeldTerm, number: number, slices: readonly Slice[], hint: string): Promise<void> {
    const { scripts, keys, connection, patience } = this.#options;
    const name = `${held.term.nonce}.${number}`;
    for (const [index, slice] of slices.entries()) {
      await this.#run(held, scripts.stage, undefined, [number, index, ...stagedList(slice)], false, keys.staged(index));
    }
    await this.#run(held, scripts.flip, undefined, [number, slices.length, name], false);
    for (const [index, slice] of slices.entries()) {
      const last = index === slices.length - 1;
      await this.#run(held, scripts.redo, slice.keys, [index, slice.keys.length + 1, name, number], last, keys.staged(index));
    }
    if (hint === '') return;
    const once = this.#options.env.clock.monotonic();
    // Hints may be lost: one try.
    await patience
      .persist(
        () => connection.call(command('PUBLISH', keys.hints, hint)),
        () => once,
      )
      .catch(() => {});
  }

  async #tokensOf(held: HeldTerm, build: string): Promise<readonly string[]> {
    const { connection, keys, patience } = this.#options;
    const [answer] = await patience.persist(
      () => connection.call(command('SMEMBERS', keys.tokens(build))),
      () => held.endsAt,
    );
    return texts(answer);
  }

  /** Runs a script of the term until it answers. `extra` are the keys of the operations; scripts without any get meta alone. */
  async #run(
    held: HeldTerm,
    script: Script,
    extra: readonly string[] | undefined,
    args: readonly Arg[],
    durable: boolean,
    list?: string,
  ): Promise<void> {
    const { connection, keys, patience } = this.#options;
    const { counter, nonce, incarnation } = held.term;
    const shared = extra === undefined ? [keys.meta] : [keys.meta, keys.builds, keys.partial];
    const call: Call = {
      kind: 'script',
      script,
      keys: [...shared, ...(list === undefined ? [] : [list]), ...(extra ?? [])],
      args: [counter, nonce, incarnation, ...args],
    };
    const attempt = async () => expectDone(durable ? await callDurably(this.#options, call) : (await connection.call(call))[0]);
    await patience.persist(attempt, () => held.endsAt);
  }
}

/** @throws {Fault} LEDGER_FENCED where the script says so */
export function expectDone(answer: unknown): void {
  const { word, rest } = scriptAnswer(answer);
  if (word === 'done' || word === 'again') return;
  if (word === 'fenced') throw fencedFault(rest[0] ?? '');
  if (word === 'missing') {
    throw new Fault('LEDGER_UNAVAILABLE', 'Redis has lost a part of a large commit that was decided already', {
      hint: 'Something deleted keys below the prefix. Restore Redis from a copy, or start with an empty one.',
    });
  }
  throw strange(answer);
}

function fencedFault(why: string): Fault {
  if (why === 'term') return new Fault('LEDGER_FENCED', 'Another coordinator has taken the term in Redis, or Redis has forgotten it');
  if (why === 'server') {
    return new Fault('LEDGER_FENCED', 'Redis was restarted or failed over to another server, and may have forgotten the newest commits');
  }
  return new Fault('LEDGER_FENCED', `Redis has forgotten the newest commits, or had others (${why})`);
}

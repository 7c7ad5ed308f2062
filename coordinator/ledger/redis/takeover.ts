import { randomBytes } from 'node:crypto';
import type { Env } from '../../../base/env.ts';
import { Fault } from '../../../base/fault.ts';
import type { Leader, Term } from '../ledger.ts';
import { scriptAnswer, strange, texts } from './answers.ts';
import { callDurably, type DurableOptions } from './durable.ts';
import type { RedisKeys } from './keys.ts';
import type { Patience } from './patience.ts';
import { command } from './reader.ts';
import type { Scripts } from './scripts.ts';
import { expectDone, type HeldTerm } from './writer.ts';

/** The form that the data is written in; a newer one is refused. In the first one, each entry of a stream is one event. */
const FORM = 2;
/** Keys that one sweep drops. */
const SWEEP_KEYS = 256;

export type TakeoverOptions = DurableOptions & {
  readonly keys: RedisKeys;
  readonly scripts: Scripts;
  readonly patience: Patience;
  readonly env: Env;
};

type Taken = { readonly held: HeldTerm; readonly staged: number; readonly slices: number; readonly redo: number; readonly name: string };

/** Takes the leadership and puts in order what a dead leader left: a decided commit is finished, the rest of leftovers goes. */
export class Takeover {
  readonly #options: TakeoverOptions;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  /** @throws {Fault} LEDGER_UNAVAILABLE, LEDGER_FENCED, WRONG_STATE where a newer version wrote the data */
  async lead(holder: Leader, ttlMs: number): Promise<HeldTerm | undefined> {
    const taken = await this.#take(holder, ttlMs);
    if (taken === undefined) return undefined;
    const { held } = taken;
    const tidy = new Tidy(this.#options, held, ttlMs);
    for (let slice = taken.redo; slice < taken.slices; slice += 1) await tidy.redo(slice, taken.name);
    const stale = Array.from({ length: taken.slices > 0 ? 0 : taken.staged }, (_, slice) => this.#options.keys.staged(slice));
    await tidy.drop(stale, '');
    await tidy.dropPartial();
    await tidy.end();
    return held;
  }

  async #take(holder: Leader, ttlMs: number): Promise<Taken | undefined> {
    const { connection, keys, scripts, env, patience } = this.#options;
    const nonce = randomBytes(16).toString('hex');
    const args = [holder.id, holder.address, ttlMs, nonce, randomBytes(16).toString('hex'), FORM, keys.hints];
    let startedAt = 0;
    const attempt = async () => {
      startedAt = env.clock.monotonic();
      return await connection.call({ kind: 'script', script: scripts.lead, keys: [keys.meta], args });
    };
    const [answer] = await patience.persist(attempt, () => 0);
    const { word, rest } = scriptAnswer(answer);
    if (word === 'held') return undefined;
    if (word === 'form') {
      throw new Fault('WRONG_STATE', `The ledger in Redis was written by a newer Switchyard (form ${rest[0]}, this one knows ${FORM})`, {
        hint: 'Start the newer version again, or give another --redis-prefix.',
      });
    }
    const [counter, incarnation, staged, slices, redo, name] = rest;
    if (word !== 'lead' || incarnation === undefined || name === undefined) throw strange(answer);
    const term: Term = { counter: Number(counter), nonce, incarnation };
    const held: HeldTerm = { term, endsAt: startedAt + ttlMs, acknowledged: 0, broken: undefined };
    return { held, staged: Number(staged), slices: Number(slices), redo: Number(redo), name };
  }
}

/** Extends the term on Redis and here. Throws what Redis said. */
export async function renewTerm({ connection, keys, scripts, env }: TakeoverOptions, held: HeldTerm, ttlMs: number): Promise<void> {
  const { counter, nonce, incarnation } = held.term;
  const startedAt = env.clock.monotonic();
  const args = [counter, nonce, incarnation, ttlMs, held.acknowledged];
  const [answer] = await connection.call({ kind: 'script', script: scripts.renew, keys: [keys.meta], args });
  expectDone(answer);
  held.endsAt = Math.max(held.endsAt, startedAt + ttlMs);
}

/** The work between taking a term and leading; it renews the term where it takes long. */
class Tidy {
  readonly #options: TakeoverOptions;
  readonly #held: HeldTerm;
  readonly #ttlMs: number;

  constructor(options: TakeoverOptions, held: HeldTerm, ttlMs: number) {
    this.#options = options;
    this.#held = held;
    this.#ttlMs = ttlMs;
  }

  async redo(slice: number, name: string): Promise<void> {
    const { connection, keys, patience, scripts } = this.#options;
    const list = keys.staged(slice);
    const [count] = texts(await this.#ask('LRANGE', list, 0, 0));
    if (count === undefined) return expectDone(['missing']);
    const own = texts(await this.#ask('LRANGE', list, 1, Number(count)));
    const args = [...this.#term(), slice, own.length + 1, name, 0];
    const call = { kind: 'script', script: scripts.redo, keys: [keys.meta, keys.builds, keys.partial, list, ...own], args } as const;
    await patience.persist(
      async () => expectDone((await connection.call(call))[0]),
      () => this.#held.endsAt,
    );
    await this.#renewInTime();
  }

  async dropPartial(): Promise<void> {
    const { keys } = this.#options;
    for (const build of texts(await this.#ask('SMEMBERS', keys.partial))) {
      const accepted = (await this.#ask('ZSCORE', keys.builds, build)) !== null;
      const tokens = accepted ? [] : texts(await this.#ask('SMEMBERS', keys.tokens(build)));
      const own = accepted ? [] : [keys.tokens(build), keys.events(build), keys.rows(build)];
      // The logs first: without the tokens nobody would find them.
      await this.drop([...tokens.map((token) => keys.log(token)), ...own], build);
    }
  }

  /** Drops keys in calls of bounded size; then the build, if any, is off the list of leftovers. */
  async drop(doomed: readonly string[], build: string): Promise<void> {
    for (let from = 0; from < doomed.length; from += SWEEP_KEYS) await this.#sweep(doomed.slice(from, from + SWEEP_KEYS), '', '');
    if (build !== '') await this.#sweep([], build, '');
  }

  /**
   * From here on no sweep of this term does anything. And what is there now is durable, whoever wrote it: the leader that did
   * may have died before it was confirmed, and the next one answers for it without writing it again.
   */
  async end(): Promise<void> {
    await this.#sweep([], '', 'last');
  }

  async #sweep(doomed: readonly string[], build: string, last: '' | 'last'): Promise<void> {
    const { connection, keys, patience, scripts } = this.#options;
    const args = [...this.#term(), build, last];
    const call = { kind: 'script', script: scripts.sweep, keys: [keys.meta, keys.builds, keys.partial, ...doomed], args } as const;
    await patience.persist(
      async () => expectDone(last === 'last' ? await callDurably(this.#options, call) : (await connection.call(call))[0]),
      () => this.#held.endsAt,
    );
    await this.#renewInTime();
  }

  async #ask(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const { connection, patience } = this.#options;
    const [answer] = await patience.persist(
      () => connection.call(command(name, ...args)),
      () => this.#held.endsAt,
    );
    return answer;
  }

  async #renewInTime(): Promise<void> {
    const { env, patience } = this.#options;
    if (this.#held.endsAt - env.clock.monotonic() > (this.#ttlMs * 2) / 3) return;
    await patience.persist(
      () => renewTerm(this.#options, this.#held, this.#ttlMs),
      () => this.#held.endsAt,
    );
  }

  #term(): readonly [number, string, string] {
    const { counter, nonce, incarnation } = this.#held.term;
    return [counter, nonce, incarnation];
  }
}

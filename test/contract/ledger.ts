import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { digestOf } from '../../cache/digest.ts';
import { stepIdOf } from '../../coordinator/core/ids.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import { groupCommit } from '../../coordinator/ledger/group-commit.ts';
import type { Leader, Ledger, LogRecord, Term } from '../../coordinator/ledger/ledger.ts';
import {
  AGENT,
  buildEvent,
  buildNumber,
  buildRecord,
  chunk,
  eventRecord,
  holdRecord,
  topologyRecord,
  sessionRecord,
  specRecord,
  stepRecord,
  submission,
  tokenNumber,
} from './ledger-records.ts';

export type LedgerSubject = {
  readonly name: string;
  /** A new, empty ledger that measures leaderships by the clock. */
  open(clock: Clock): Promise<Ledger>;
  /** Closes the ledger and opens what it stored; undefined where nothing outlives closing. */
  readonly reopen: ((ledger: Ledger, clock: Clock) => Promise<Ledger>) | undefined;
  /**
   * For ledgers that measure leaderships by a clock of their own: a time to lead that is worth waiting for, and the wait.
   * @default 3000 ms of the clock given to `open`, which pass at once
   */
  readonly time?: { readonly ttlMs: number; pass(ms: number): Promise<void> };
};

const signal = new AbortController().signal;
const holder = (id: string): Leader => ({ id, address: `${id}:7410` });

/** What every ledger does, whatever it stands on. */
export function ledgerContract(subject: LedgerSubject): void {
  describe(`${subject.name}: the ledger's contract`, () => {
    let time = 0;
    const clock: Clock = { now: () => time, monotonic: () => time };
    let ledger: Ledger;
    beforeEach(async () => {
      ledger = await subject.open(clock);
    });
    afterEach(() => ledger[Symbol.asyncDispose]());
    const passing = subject.time ?? { ttlMs: 3_000, pass: async (ms) => void (time += ms) };
    const lead = async (id = 'a') => present(await ledger.lead(holder(id), 60_000, signal), 'the leadership is free');

    leadershipContract(() => ledger, lead, passing);
    recordContract(() => ledger, lead);
    logContract(() => ledger, lead);
    const { reopen } = subject;
    if (reopen === undefined) return;
    it('has everything that was committed when it is opened again, leads at once, and never repeats a term', async () => {
      const before = await lead('first holder');
      const records = [...submission(buildNumber(1), ['a', 'b']), sessionRecord(3), holdRecord('agent:x', 'broken fan'), topologyRecord(1)];
      await ledger.commit(before, records, signal);
      await ledger.commit(before, [chunk(buildNumber(1), tokenNumber(1), 0, Uint8Array.of(0, 255))], signal);
      const stored = await loadAll(ledger);
      const incarnation = await ledger.incarnation(signal);
      // A leadership that outlives its holder's process would have to run out first.
      if (ledger.traits.shared) await ledger.resign(before, signal);
      ledger = await reopen(ledger, clock);
      expect(await loadAll(ledger)).toEqual(stored);
      expect(await ledger.events(buildNumber(1), 0, 10, signal)).toEqual([buildEvent(1)]);
      expect((await ledger.log(tokenNumber(1), signal))?.chunks).toEqual([{ offset: 0, bytes: Uint8Array.of(0, 255) }]);
      expect(await ledger.incarnation(signal)).toBe(incarnation);
      const after = await lead('second holder');
      expect(after.counter).toBeGreaterThan(before.counter);
      expect(after.nonce).not.toBe(before.nonce);
      await expect(ledger.commit(before, [eventRecord(buildNumber(1), 2)], signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    });
  });
}

type Lead = (id?: string) => Promise<Term>;
type Passing = NonNullable<LedgerSubject['time']>;

function leadershipContract(ledger: () => Ledger, lead: Lead, { ttlMs, pass }: Passing): void {
  it('gives the leadership to one holder at a time', async () => {
    expect(await ledger().lead(holder('a'), ttlMs, signal)).toBeDefined();
    expect(await ledger().lead(holder('b'), ttlMs, signal)).toBeUndefined();
    await pass(ttlMs);
    expect(await ledger().lead(holder('b'), ttlMs, signal)).toMatchObject({
      counter: expect.any(Number),
      nonce: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it('keeps a renewed leadership', async () => {
    const term = present(await ledger().lead(holder('a'), ttlMs, signal), 'the leadership is free');
    await pass(ttlMs * 0.6);
    await ledger().renew(term, ttlMs, signal);
    await pass(ttlMs * 0.6);
    expect(await ledger().lead(holder('b'), ttlMs, signal)).toBeUndefined();
  });

  it('is free at once after its holder resigned', async () => {
    const term = await lead('a');
    await ledger().resign(term, signal);
    expect(await ledger().lead(holder('b'), 60_000, signal)).toBeDefined();
    await ledger().resign(term, signal);
    expect(await ledger().lead(holder('c'), 60_000, signal)).toBeUndefined();
  });

  it('fences an earlier term of the same holder', async () => {
    const first = await lead('a');
    const second = await lead('a');
    expect(second.nonce).not.toBe(first.nonce);
    await expect(ledger().renew(first, 60_000, signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await ledger().commit(second, [eventRecord(buildNumber(1), 1)], signal);
  });

  it.for(['counter', 'nonce', 'incarnation'] as const)('fences a term that differs in its %s only, and writes nothing', async (part) => {
    const term = await lead();
    const stale = { ...term, [part]: part === 'counter' ? term.counter + 1 : `x${term[part].slice(1)}` };
    await expect(ledger().commit(stale, submission(buildNumber(1), ['a']), signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await expect(ledger().renew(stale, 60_000, signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    expect(await loadAll(ledger())).toEqual([]);
  });

  it('tells its time in whole milliseconds, which go on', async () => {
    const before = await ledger().now(signal);
    expect(Number.isSafeInteger(before)).toBe(true);
    await pass(ttlMs);
    expect(await ledger().now(signal)).toBeGreaterThanOrEqual(before + ttlMs);
    await expect(ledger().now(AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('does nothing for a caller who has given up', async () => {
    const term = await lead();
    const gone = AbortSignal.abort();
    await expect(ledger().commit(term, [holdRecord('agent:a', 'x')], gone)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await loadAll(ledger())).toEqual([]);
  });
}

function recordContract(ledger: () => Ledger, lead: Lead): void {
  it('loads the newest record of each key, builds by their ids and before what belongs to them', async () => {
    const term = await lead();
    await ledger().commit(term, submission(buildNumber(2), ['b', 'a']), signal);
    await ledger().commit(term, submission(buildNumber(1), ['z']), signal);
    await ledger().commit(term, [holdRecord('agent:a', 'old'), sessionRecord(1), stepRecord(stepIdOf(buildNumber(2), 'a'), 1)], signal);
    await ledger().commit(term, [sessionRecord(2), holdRecord('agent:a', 'new'), stepRecord(stepIdOf(buildNumber(2), 'a'), 2)], signal);
    const [one, two] = [buildNumber(1), buildNumber(2)];
    const loaded = await loadAll(ledger());
    expect(loaded).toHaveLength(12);
    expect(loaded).toEqual(
      expect.arrayContaining([
        { kind: 'build-state', id: one, state: { kind: 'running', cancelling: undefined } },
        { kind: 'build-state', id: two, state: { kind: 'running', cancelling: undefined } },
        specRecord(stepIdOf(one, 'z'), 'z'),
        specRecord(stepIdOf(two, 'a'), 'a'),
        specRecord(stepIdOf(two, 'b'), 'b'),
        stepRecord(stepIdOf(one, 'z')),
        stepRecord(stepIdOf(two, 'a'), 2),
        stepRecord(stepIdOf(two, 'b')),
        sessionRecord(2),
        holdRecord('agent:a', 'new'),
      ]),
    );
    expect(loaded.filter(({ kind }) => kind === 'build')).toEqual([buildRecord(one, ['z']), buildRecord(two, ['b', 'a'])]);
    for (const build of [one, two]) expect(loaded.filter((record) => JSON.stringify(record).includes(build))[0]?.kind).toBe('build');
  });

  it('keeps the newest of the records that one commit has of a step, in commits of any size', async () => {
    const term = await lead();
    const one = buildNumber(1);
    const names = Array.from({ length: 900 }, (_, index) => `step-${index}`);
    const steps = names.map((name) => stepIdOf(one, name));
    const first = steps.slice(0, 1).map((step) => stepRecord(step, 1));
    await ledger().commit(term, [...submission(one, names), ...first, ...steps.slice(0, 1).map((step) => stepRecord(step, 2))], signal);
    await ledger().commit(
      term,
      [...steps, ...steps].map((step, index) => stepRecord(step, index)),
      signal,
    );
    const counts = (await loadAll(ledger())).flatMap((record) => (record.kind === 'step' ? [[record.id, record.step.attemptCount]] : []));
    expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(steps.map((step, index) => [step, steps.length + index])));
  });

  it('applies the records of one commit in their order', async () => {
    const term = await lead();
    const target = 'pool:c/p';
    const lifted: LedgerRecord = { kind: 'hold-lifted', target };
    await ledger().commit(term, [holdRecord(target, 'one'), lifted, holdRecord(target, 'two')], signal);
    expect(await loadAll(ledger())).toEqual([holdRecord(target, 'two')]);
    await ledger().commit(term, [holdRecord(target, 'three'), sessionRecord(1), lifted, { kind: 'agent-forgotten', agent: AGENT }], signal);
    expect(await loadAll(ledger())).toEqual([]);
  });

  it('keeps topologies by revision, in their order, until one is forgotten', async () => {
    const term = await lead();
    await ledger().commit(term, [topologyRecord(10), topologyRecord(9)], signal);
    expect(await loadAll(ledger())).toEqual([topologyRecord(9), topologyRecord(10)]);
    await ledger().commit(term, [topologyRecord(11), { kind: 'topology-forgotten', revision: 9 }], signal);
    expect(await loadAll(ledger())).toEqual([topologyRecord(10), topologyRecord(11)]);
  });

  it('returns events after a sequence number, oldest first and no more than asked for', async () => {
    const term = await lead();
    const build = buildNumber(1);
    for (const seq of [1, 2, 3, 10, 11]) await ledger().commit(term, [eventRecord(build, seq), eventRecord(buildNumber(2), seq)], signal);
    expect((await ledger().events(build, 0, 100, signal)).map(({ seq }) => seq)).toEqual([1, 2, 3, 10, 11]);
    expect((await ledger().events(build, 2, 2, signal)).map(({ seq }) => seq)).toEqual([3, 10]);
    expect(await ledger().events(build, 11, 100, signal)).toEqual([]);
    expect(await ledger().events(buildNumber(9), 0, 100, signal)).toEqual([]);
  });

  it('returns single events of commits that brought many', async () => {
    const term = await lead();
    const [build, other] = [buildNumber(1), buildNumber(2)];
    const seqs = [...Array.from({ length: 40 }, (_, index) => index + 1), 50, 51, 52];
    await ledger().commit(term, [eventRecord(build, 1), eventRecord(build, 2)], signal);
    const rest = seqs.slice(2).flatMap((seq) => [eventRecord(build, seq), eventRecord(other, seq)]);
    await ledger().commit(term, rest, signal);
    for (const after of [0, 1, 2, 3, 17, 18, 19, 39, 40, 49, 50, 52]) {
      for (const limit of [1, 2, 16, 17, 100]) {
        const events = await ledger().events(build, after, limit, signal);
        expect(events).toEqual(
          seqs
            .filter((seq) => seq > after)
            .slice(0, limit)
            .map((seq) => buildEvent(seq)),
        );
      }
    }
  });

  it('forgets a build with all that belongs to it, and nothing else', async () => {
    const term = await lead();
    const [gone, kept] = [buildNumber(1), buildNumber(2)];
    await ledger().commit(term, [...submission(gone, ['a', 'b'])], signal);
    await ledger().commit(term, [...submission(kept, ['a'])], signal);
    const before = (await loadAll(ledger())).filter((record) => JSON.stringify(record).includes(kept));
    await ledger().commit(
      term,
      [chunk(gone, tokenNumber(1), 0, Uint8Array.of(1)), chunk(kept, tokenNumber(2), 0, Uint8Array.of(2))],
      signal,
    );
    await ledger().commit(term, [{ kind: 'build-forgotten', id: gone }], signal);
    expect(await loadAll(ledger())).toEqual(before);
    expect(await ledger().events(gone, 0, 10, signal)).toEqual([]);
    expect(await ledger().log(tokenNumber(1), signal)).toBeUndefined();
    expect(await ledger().events(kept, 0, 10, signal)).toHaveLength(1);
    expect(await ledger().log(tokenNumber(2), signal)).toBeDefined();
  });

  it('ignores what is left of a submission that broke off, and the next term drops it', async () => {
    const term = await lead();
    const build = buildNumber(1);
    const records = submission(build, ['a', 'b']);
    await ledger().commit(term, records.slice(0, -1), signal);
    await ledger().commit(term, [chunk(build, tokenNumber(1), 0, Uint8Array.of(1))], signal);
    expect(await loadAll(ledger())).toEqual([]);
    const next = await lead();
    await ledger().commit(next, records.slice(-1), signal);
    expect(await loadAll(ledger())).toEqual([buildRecord(build, ['a', 'b'])]);
    expect(await ledger().events(build, 0, 10, signal)).toEqual([]);
    expect(await ledger().log(tokenNumber(1), signal)).toBeUndefined();
  });

  it('keeps any text exactly', async () => {
    const term = await lead();
    const build = buildNumber(1);
    const texts = ['plain', 'Grüße, 世界 🚀', 'nul \u0000 and \u001f', 'lone \ud800 surrogate', '"quoted" \\ \n\t', '\u2028', ''];
    const step = stepIdOf(build, 'odd[os=a,b]');
    const records = [specRecord(step, 'odd[os=a,b]', texts), stepRecord(step), buildRecord(build, ['odd[os=a,b]'], texts.join('|'))];
    await ledger().commit(term, records, signal);
    const events = texts.map((text, index) => eventRecord(build, index + 1, text));
    await ledger().commit(term, events, signal);
    expect(new Set(await loadAll(ledger()))).toEqual(new Set(records));
    expect(await ledger().events(build, 0, 10, signal)).toEqual(texts.map((text, index) => buildEvent(index + 1, text)));
  });

  it('takes a submission of 10,000 records and loads all of it', async () => {
    const term = await lead();
    const build = buildNumber(1);
    const names = Array.from({ length: 5_000 }, (_, index) => `step-${index}`);
    const records = submission(build, names);
    await using commits = groupCommit(ledger(), term);
    await commits.commit(records);
    const loaded = await loadAll(ledger());
    expect(loaded).toHaveLength(2 + 2 * names.length);
    expect(new Set(loaded.map((record) => (record.kind === 'step' ? record.id : undefined)))).toHaveProperty('size', names.length + 1);
  });

  it('takes a large commit whole or not at all', async () => {
    const stale = await lead();
    const term = await lead();
    const records = Array.from({ length: 5_000 }, (_, index) => eventRecord(buildNumber(1), index + 1));
    await expect(ledger().commit(stale, records, signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    expect(await ledger().events(buildNumber(1), 0, 1, signal)).toEqual([]);
    await ledger().commit(term, records, signal);
    expect(await ledger().events(buildNumber(1), 0, 10_000, signal)).toHaveLength(5_000);
  });

  it('keeps what it was given when the caller changes it afterwards', async () => {
    const term = await lead();
    const names = ['a'];
    const bytes = Uint8Array.of(1, 2, 3);
    const commit = ledger().commit(term, [buildRecord(buildNumber(1), names), chunk(buildNumber(1), tokenNumber(1), 0, bytes)], signal);
    names.push('b');
    bytes.fill(9);
    await commit;
    expect(await loadAll(ledger())).toEqual([buildRecord(buildNumber(1), ['a'])]);
    expect((await ledger().log(tokenNumber(1), signal))?.chunks).toEqual([{ offset: 0, bytes: Uint8Array.of(1, 2, 3) }]);
  });
}

function logContract(ledger: () => Ledger, lead: Lead): void {
  const build = buildNumber(1);
  const token = tokenNumber(1);
  const commit = async (records: readonly LogRecord[]) => ledger().commit(await lead(), [buildRecord(build, [AGENT]), ...records], signal);
  const every = Uint8Array.from({ length: 256 }, (_, index) => index);

  it('returns chunks by offset, byte for byte', async () => {
    // Views into a larger buffer, as they come from a socket.
    await commit([
      chunk(build, token, 256, every.subarray(3, 7)),
      chunk(build, token, 0, every),
      chunk(build, token, 260, new Uint8Array(0)),
    ]);
    expect(await ledger().log(token, signal)).toEqual({
      segments: [],
      chunks: [
        { offset: 0, bytes: every },
        { offset: 256, bytes: Uint8Array.of(3, 4, 5, 6) },
        { offset: 260, bytes: new Uint8Array(0) },
      ],
      sealed: undefined,
    });
  });

  it('lets a segment take the place of the chunks that it covers, and of no others', async () => {
    const digest = digestOf(every.subarray(0, 8));
    await commit([0, 4, 8].map((offset) => chunk(build, token, offset, every.subarray(offset, offset + 4))));
    await commit([{ kind: 'log-segment', build, token, offset: 0, digest }]);
    expect(await ledger().log(token, signal)).toEqual({
      segments: [{ offset: 0, digest }],
      chunks: [{ offset: 8, bytes: every.subarray(8, 12).slice() }],
      sealed: undefined,
    });
  });

  it('keeps of a sealed log its digest alone', async () => {
    const digest = digestOf(every);
    const head = digestOf(every.subarray(0, 4));
    await commit([chunk(build, token, 0, every), { kind: 'log-segment', build, token, offset: 0, digest: head }]);
    await commit([{ kind: 'log-sealed', build, token, digest, truncated: true }]);
    expect(await ledger().log(token, signal)).toEqual({ segments: [], chunks: [], sealed: { digest, truncated: true } });
  });

  it('forgets one log and keeps the others', async () => {
    const other = tokenNumber(2);
    await commit([chunk(build, token, 0, every), chunk(build, other, 0, every), { kind: 'log-forgotten', build, token }]);
    expect(await ledger().log(token, signal)).toBeUndefined();
    expect(await ledger().log(other, signal)).toBeDefined();
    expect(await ledger().log(tokenNumber(3), signal)).toBeUndefined();
  });
}

/** Everything that `load` yields. */
export async function loadAll(ledger: Ledger): Promise<readonly LedgerRecord[]> {
  const records: LedgerRecord[] = [];
  for await (const batch of ledger.load(signal)) records.push(...batch);
  return records;
}

import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { parseBuildId, type BuildId } from '../core/ids.ts';
import type { BuildEvent, LedgerRecord } from '../core/record.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { openWatch, type WatchItem } from './watch.ts';

const BUILD = present(parseBuildId(`b-${'1'.repeat(26)}`), 'a valid id');
const record = (build: BuildId): LedgerRecord => ({
  kind: 'build',
  build: {
    id: build,
    spec: {
      name: 'x',
      project: 'p',
      scope: 'main',
      zoneCeiling: 'trusted',
      submittedBy: 'me',
      labels: {},
      weight: 1,
      timeoutMs: undefined,
      failFast: false,
    },
    stepNames: [],
    acceptedAt: 1,
    idempotencyKey: 'k',
  },
});

async function world(signOfLifeMs = 60_000) {
  const signal = new AbortController().signal;
  const ledger = openMemoryLedger();
  const term = present(await ledger.lead({ id: 'test', address: '' }, 60_000, signal), 'nobody else leads');
  await ledger.commit(term, [record(BUILD)], signal);
  let lastSeq = 0;
  let ended = false;
  const watch = openWatch({
    ledger,
    incarnation: term.incarnation,
    stateOf: (build) => (build === BUILD ? { ended, lastSeq } : undefined),
    signOfLifeMs,
  });
  /** Commits events, and tells the watch unless it is to learn of them from the ledger. */
  const happen = async (count: number, last = false) => {
    for (let step = 0; step < count; step += 1) {
      lastSeq += 1;
      ended = last && step === count - 1;
      const body = ended
        ? ({ kind: 'build-ended', outcome: 'succeeded', degraded: [] } as const)
        : ({ kind: 'step-ready', step: `s${lastSeq}` } as const);
      const event: BuildEvent = { seq: lastSeq, at: lastSeq, ...body };
      const write: LedgerRecord = { kind: 'event', build: BUILD, event };
      await ledger.commit(term, [write], signal);
      watch.committed([write]);
    }
  };
  return { watch, happen, incarnation: term.incarnation };
}

async function seqs(items: AsyncIterable<WatchItem>): Promise<number[]> {
  const all: number[] = [];
  for await (const item of items) if (item.event !== undefined) all.push(item.event.seq);
  return all;
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test('a watcher gets history and then live events without gap or repeat, and ends with the build', async () => {
  const { watch, happen } = await world();
  await happen(700);
  const watching = seqs(watch.events(BUILD, undefined, new AbortController().signal));
  await happen(20);
  await happen(1, true);
  expect(await watching).toEqual(upTo(721));
});

test('a watcher that does not read while more events come than may wait for it misses none', async () => {
  const { watch, happen } = await world();
  await happen(1);
  const items = watch.events(BUILD, undefined, new AbortController().signal)[Symbol.asyncIterator]();
  const first = await items.next();
  expect(first.value?.event?.seq).toBe(1);
  await happen(1_500);
  await happen(1, true);
  expect(await seqs({ [Symbol.asyncIterator]: () => items })).toEqual(upTo(1_502).slice(1));
});

test('a cursor resumes right after the event that it came with', async () => {
  const { watch, happen, incarnation } = await world();
  await happen(9);
  await happen(1, true);
  const signal = new AbortController().signal;
  expect(await seqs(watch.events(BUILD, watch.cursorAt(4), signal))).toEqual([5, 6, 7, 8, 9, 10]);
  expect(await seqs(watch.events(BUILD, `${incarnation}:10`, signal))).toEqual([]);
});

test('a cursor of another incarnation has expired, and so has one of events that are not there', async () => {
  const { watch, happen, incarnation } = await world();
  await happen(2);
  const signal = new AbortController().signal;
  await expect(seqs(watch.events(BUILD, 'elsewhere:1', signal))).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', field: 'cursor' });
  await expect(seqs(watch.events(BUILD, `${incarnation}:3`, signal))).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  await expect(seqs(watch.events(BUILD, 'nonsense', signal))).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'cursor' });
});

test('a quiet build gives signs of life that carry the cursor', async () => {
  const { watch, happen } = await world(5);
  await happen(3);
  const stop = new AbortController();
  for await (const item of watch.events(BUILD, undefined, stop.signal)) {
    if (item.event !== undefined) continue;
    expect(item.cursor).toBe(watch.cursorAt(3));
    stop.abort();
  }
});

test('changed resolves at the next event, and when it is aborted', async () => {
  const { watch, happen } = await world();
  const changed = watch.changed(BUILD, new AbortController().signal);
  await happen(1);
  await changed;
  const stop = new AbortController();
  const waiting = watch.changed(BUILD, stop.signal);
  stop.abort();
  await waiting;
});

test('a watch that goes on from a cursor after which nothing happened says at once that it is there', async () => {
  const { watch, happen, incarnation } = await world();
  await happen(3);
  const stop = new AbortController();
  const items = watch.events(BUILD, `${incarnation}:3`, stop.signal)[Symbol.asyncIterator]();
  expect((await items.next()).value).toEqual({ cursor: `${incarnation}:3`, event: undefined });
  await happen(1);
  expect((await items.next()).value).toMatchObject({ cursor: `${incarnation}:4`, event: { seq: 4 } });
  stop.abort();
  await items.return?.();
});

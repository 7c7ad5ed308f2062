import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import type { BuildId } from '../../coordinator/core/ids.ts';
import type { Leader, SharedLedger } from '../../coordinator/ledger/ledger.ts';
import { until } from '../fixtures/until.ts';
import { loadAll } from './ledger.ts';
import { buildNumber, buildRecord, chunk, eventRecord, holdRecord, submission, tokenNumber } from './ledger-records.ts';

/** A ledger that two coordinators use. */
export type SharedYard = AsyncDisposable & {
  readonly first: SharedLedger;
  /** Another coordinator's; the same one where the ledger lives in one process. */
  readonly second: SharedLedger;
};

export type SharedSubject = {
  readonly name: string;
  /** A new, empty ledger. */
  open(): Promise<SharedYard>;
  /** A time to lead that is worth waiting for, and the wait. */
  readonly ttlMs: number;
  pass(ms: number): Promise<void>;
  /** Remembers the state of the ledger; what it returns brings that state back, as a store does that lost its newest writes. */
  readonly checkpoint: (yard: SharedYard) => Promise<() => Promise<void>>;
};

const signal = new AbortController().signal;
const holder = (id: string): Leader => ({ id, address: `${id}:7410` });

/** What every shared ledger does beyond the ledger's contract. */
export function sharedLedgerContract(subject: SharedSubject): void {
  describe(`${subject.name}: the shared ledger's contract`, () => {
    let yard: SharedYard;
    beforeEach(async () => {
      yard = await subject.open();
    });
    afterEach(() => yard[Symbol.asyncDispose]());
    const lead = async (ledger: SharedLedger, id: string) =>
      present(await ledger.lead(holder(id), 60_000, signal), 'the leadership is free');
    leaderTests(subject, () => yard, lead);
    sharingTests(() => yard, lead);
    hintTests(() => yard, lead);
    lossTests(subject, () => yard, lead);
  });
}

type Yard = () => SharedYard;
type Lead = (ledger: SharedLedger, id: string) => Promise<NonNullable<Awaited<ReturnType<SharedLedger['lead']>>>>;

function leaderTests({ ttlMs, pass }: SharedSubject, yard: Yard, lead: Lead): void {
  it('tells everybody who leads, until its time is over', async () => {
    expect(await yard().second.leader(signal)).toBeUndefined();
    await yard().first.lead(holder('a'), ttlMs, signal);
    expect(await yard().second.leader(signal)).toEqual(holder('a'));
    await pass(ttlMs);
    expect(await yard().second.leader(signal)).toBeUndefined();
  });

  it('names nobody once the leader has resigned', async () => {
    const term = await lead(yard().first, 'a');
    await yard().first.resign(term, signal);
    expect(await yard().second.leader(signal)).toBeUndefined();
    await lead(yard().second, 'b');
    expect(await yard().first.leader(signal)).toEqual(holder('b'));
  });

  it('changes nothing for a coordinator whose term another one has ended', async () => {
    const { first, second } = yard();
    const stale = present(await first.lead(holder('a'), ttlMs, signal), 'the leadership is free');
    await first.commit(stale, submission(buildNumber(1), ['a']), signal);
    await pass(ttlMs);
    const term = await lead(second, 'b');
    const before = await loadAll(second);
    await expect(first.commit(stale, [holdRecord('agent:x', 'stale')], signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await expect(first.renew(stale, ttlMs, signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await first.resign(stale, signal);
    expect(await loadAll(second)).toEqual(before);
    await second.commit(term, [holdRecord('agent:x', 'current')], signal);
  });

  it('lets one coordinator write at a time, however often the leadership changes', async () => {
    const written: string[] = [];
    const build = buildNumber(1);
    let seq = 0;
    await yard().first.commit(await lead(yard().first, 'both'), [buildRecord(build, [])], signal);
    for (let round = 0; round < 6; round += 1) {
      const [own, other] = round % 2 === 0 ? [yard().first, yard().second] : [yard().second, yard().first];
      const term = await lead(own, 'both');
      const mine = Array.from({ length: 10 }, () => (seq += 1));
      const commits = Promise.allSettled(mine.map((number) => own.commit(term, [eventRecord(build, number, `round ${round}`)], signal)));
      // The other one takes over in the middle; the same holder may at once.
      const next = await lead(other, 'both');
      const settled = await commits;
      const done = settled.filter(({ status }) => status === 'fulfilled').length;
      expect(settled.slice(done).every(({ status }) => status === 'rejected')).toBe(true);
      for (let index = 0; index < done; index += 1) written.push(`round ${round}`);
      seq = (mine[0] ?? 0) + done - 1;
      await other.resign(next, signal);
    }
    const events = await yard().first.events(build, 0, 1_000, signal);
    expect(events.map((event) => 'step' in event && event.step)).toEqual(written);
  });
}

function sharingTests(yard: Yard, lead: Lead): void {
  it('hands out the records of one build as they are now, its own first', async () => {
    const { first, second } = yard();
    const term = await lead(first, 'a');
    await first.commit(term, submission(buildNumber(2), ['b']), signal);
    const names = Array.from({ length: 300 }, (_, index) => `step-${index}`);
    await first.commit(term, [...submission(buildNumber(1), names), chunk(buildNumber(1), tokenNumber(1), 0, Uint8Array.of(1))], signal);
    const records = await second.records(buildNumber(1), signal);
    expect(records[0]).toEqual(buildRecord(buildNumber(1), names));
    const loaded = (await loadAll(first)).filter((record) => JSON.stringify(record).includes(buildNumber(1)));
    const sorted = (all: typeof records) => all.map((record) => JSON.stringify(record)).toSorted();
    expect(sorted(records)).toEqual(sorted(loaded));
    expect(records).toHaveLength(2 + 2 * names.length);
    await first.commit(term, [{ kind: 'build-forgotten', id: buildNumber(1) }], signal);
    expect(await second.records(buildNumber(1), signal)).toEqual([]);
    expect(await second.records(buildNumber(9), signal)).toEqual([]);
  });

  it('shows nothing of a build whose submission is not whole', async () => {
    const { first, second } = yard();
    const term = await lead(first, 'a');
    await first.commit(term, submission(buildNumber(1), ['a']).slice(0, -1), signal);
    expect(await second.records(buildNumber(1), signal)).toEqual([]);
  });

  it('keeps the first name that is given to the store, whoever gives it', async () => {
    const { first, second } = yard();
    expect(await first.claimStore('one', signal)).toBe('one');
    expect(await second.claimStore('two', signal)).toBe('one');
    await lead(second, 'b');
    expect(await second.claimStore('one', signal)).toBe('one');
  });

  it('tells everybody the same incarnation', async () => {
    const { first, second } = yard();
    const term = await lead(first, 'a');
    expect(await second.incarnation(signal)).toBe(term.incarnation);
    await first.resign(term, signal);
    expect((await lead(second, 'b')).incarnation).toBe(term.incarnation);
  });
}

function hintTests(yard: Yard, lead: Lead): void {
  it('hints at builds whose events or logs grew, and at a change of the leadership', async () => {
    const { first, second } = yard();
    const stop = new AbortController();
    const hints: (readonly BuildId[])[] = [];
    const hinted = (build: BuildId) => hints.some((builds) => builds.includes(build));
    const listening = (async () => {
      for await (const builds of second.hints(stop.signal)) hints.push(builds);
    })();
    const term = await lead(first, 'a');
    // A listener may be there only after a while: until then hints are lost.
    let seq = 0;
    await until('an event is hinted at', async () => {
      await first.commit(term, [eventRecord(buildNumber(1), (seq += 1))], signal);
      return hinted(buildNumber(1));
    });
    await first.commit(term, [chunk(buildNumber(2), tokenNumber(1), 0, Uint8Array.of(1)), holdRecord('agent:a', 'x')], signal);
    await until('a log is hinted at', () => hinted(buildNumber(2)));
    const before = hints.length;
    await first.resign(term, signal);
    await until('the leadership is hinted at', () => hints.slice(before).some((builds) => builds.length === 0));
    stop.abort();
    await listening;
  });
}

function lossTests(subject: SharedSubject, yard: Yard, lead: Lead): void {
  it('fences the term when the newest commits are lost, and begins a new incarnation', async () => {
    const { first, second } = yard();
    const term = await lead(first, 'a');
    await first.commit(term, submission(buildNumber(1), ['kept']), signal);
    const bringBack = await subject.checkpoint(yard());
    await first.commit(term, submission(buildNumber(2), ['lost']), signal);
    await bringBack();
    await expect(first.commit(term, [holdRecord('agent:x', 'after')], signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await expect(first.renew(term, 60_000, signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await first.resign(term, signal);
    const next = await lead(second, 'b');
    expect(next.incarnation).not.toBe(term.incarnation);
    expect(next.nonce).not.toBe(term.nonce);
    expect((await loadAll(second)).filter(({ kind }) => kind === 'build')).toEqual([buildRecord(buildNumber(1), ['kept'])]);
    expect((await loadAll(second)).some(({ kind }) => kind === 'hold')).toBe(false);
    await second.commit(next, submission(buildNumber(2), ['again']), signal);
    expect(await second.records(buildNumber(2), signal)).not.toEqual([]);
  });
}

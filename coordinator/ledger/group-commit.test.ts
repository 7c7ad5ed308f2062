import { describe, expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import { buildNumber, eventRecord } from '../../test/contract/ledger-records.ts';
import type { LedgerRecord } from '../core/record.ts';
import { groupCommit } from './group-commit.ts';
import type { Ledger, LogRecord, Term } from './ledger.ts';
import { openMemoryLedger } from './memory.ts';

const signal = new AbortController().signal;
const build = buildNumber(1);

/** A ledger whose commits end when the test says so. */
async function gated(): Promise<{
  ledger: Ledger;
  term: Term;
  commits: (LedgerRecord | LogRecord)[][];
  release: (fault?: Fault) => Promise<void>;
}> {
  const inner = openMemoryLedger();
  const term = present(await inner.lead({ id: 'a', address: '' }, 1_000, signal), 'free');
  const commits: (LedgerRecord | LogRecord)[][] = [];
  const gates: ((fault: Fault | undefined) => void)[] = [];
  const ledger: Ledger = {
    traits: inner.traits,
    lead: (...args) => inner.lead(...args),
    renew: (...args) => inner.renew(...args),
    resign: (...args) => inner.resign(...args),
    load: (...args) => inner.load(...args),
    events: (...args) => inner.events(...args),
    log: (...args) => inner.log(...args),
    incarnation: (...args) => inner.incarnation(...args),
    now: (...args) => inner.now(...args),
    async commit(...args) {
      commits.push([...args[1]]);
      const fault = await new Promise<Fault | undefined>((resolve) => void gates.push(resolve));
      if (fault !== undefined) throw fault;
      await inner.commit(...args);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  const settled = () => new Promise<void>((resolve) => void setImmediate(resolve));
  const release = async (fault?: Fault) => {
    await settled();
    present(gates.shift(), 'a commit is in flight')(fault);
    await settled();
  };
  return { ledger, term, commits, release };
}

const events = (from: number, count: number) => Array.from({ length: count }, (_, index) => eventRecord(build, from + index));

describe('group commit', () => {
  it('collects what arrives while a commit is in flight into the next one', async () => {
    const { ledger, term, commits, release } = await gated();
    const group = groupCommit(ledger, term);
    const done: string[] = [];
    const first = group.commit(events(1, 2)).then(() => void done.push('first'));
    await Promise.resolve();
    await Promise.resolve();
    const rest = [
      group.commit(events(3, 1)).then(() => void done.push('second')),
      group.commit([]).then(() => void done.push('empty')),
      group.commit(events(4, 3)).then(() => void done.push('third')),
    ];
    await release();
    expect(done).toEqual(['first']);
    await release();
    await Promise.all([first, ...rest]);
    expect(done).toEqual(['first', 'second', 'empty', 'third']);
    expect(commits.map((commit) => commit.length)).toEqual([2, 4]);
    expect((await ledger.events(build, 0, 99, signal)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('never divides a submission, however large', async () => {
    const { ledger, term, commits, release } = await gated();
    const group = groupCommit(ledger, term);
    const order: number[] = [];
    const all = [30, 30, 10, 150, 20].map((count, index) =>
      group.commit(events(index * 200 + 1, count)).then(() => void order.push(index)),
    );
    for (let groups = 0; groups < 4; groups += 1) await release();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(commits.map((commit) => commit.length)).toEqual([60, 10, 150, 20]);
  });

  it('resolves without records and with nothing in flight at once', async () => {
    const { ledger, term, commits } = await gated();
    await groupCommit(ledger, term).commit([]);
    expect(commits).toEqual([]);
  });

  it('refuses everything after the first failure, also what was waiting', async () => {
    const { ledger, term, commits, release } = await gated();
    const group = groupCommit(ledger, term);
    const outcomes = Promise.allSettled([group.commit(events(1, 64)), group.commit(events(65, 64)), group.commit([])]);
    await release(new Fault('LEDGER_FENCED', 'gone'));
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'LEDGER_FENCED' } });
    await expect(group.commit(events(129, 1))).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await expect(group.commit([])).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    expect(commits).toHaveLength(1);
  });

  it('disposing waits for what was given and takes nothing more', async () => {
    const { ledger, term, release } = await gated();
    const group = groupCommit(ledger, term);
    const given = group.commit(events(1, 1));
    const disposed = group[Symbol.asyncDispose]();
    await expect(group.commit(events(2, 1))).rejects.toMatchObject({ code: 'DRAINING' });
    await release();
    await Promise.all([given, disposed]);
    expect(await ledger.events(build, 0, 9, signal)).toHaveLength(1);
  });
});

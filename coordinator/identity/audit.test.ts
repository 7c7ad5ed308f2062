import { expect, test } from 'vitest';
import type { AuditNote } from '../../base/audit.ts';
import { memoryLogger } from '../../base/log.ts';
import { openAudit, type AuditQuery } from './audit.ts';
import { openMemoryIdentityStore } from './memory-store.ts';
import type { IdentityStore } from './store.ts';

const refusal = (over: Partial<AuditNote> = {}): AuditNote => ({
  act: 'call',
  outcome: 'refused',
  actor: '',
  subject: 'switchyard.v1.Build/SubmitBuild',
  detail: 'The token is not known here',
  peer: '10.0.0.7:40000',
  ...over,
});
const done = (subject: string): AuditNote => ({ act: 'deny', outcome: 'ok', actor: 'admin', subject, detail: 'gone', peer: '' });

function auditOn(store: IdentityStore, keep = 1_000) {
  let now = 1_000;
  const log = memoryLogger();
  const audit = openAudit({ store, keep, source: 'c-0', env: { log, clock: { now: () => now, monotonic: () => now } } });
  return {
    audit,
    log,
    pass: (ms: number) => void (now += ms),
    list: (query: Partial<AuditQuery> = {}) => audit.list({ limit: 100, ...query }),
  };
}

test('equal notes of a moment are one record with their number, whatever port they come from; others are told apart', async () => {
  await using store = openMemoryIdentityStore();
  const { audit, list } = auditOn(store);
  for (let port = 0; port < 500; port += 1) audit.note(refusal({ peer: `10.0.0.7:${port}` }));
  audit.note(refusal({ peer: '10.0.0.8:1' }));
  await audit.settled();
  const { records } = await list();
  expect(records.map(({ peer, count, source, at }) => ({ peer, count, source, at }))).toEqual([
    { peer: '10.0.0.8:1', count: 1, source: 'c-0', at: 1_000 },
    { peer: '10.0.0.7:0', count: 500, source: 'c-0', at: 1_000 },
  ]);
});

test('of a flood of different refusals 20 of a moment are kept and the others counted, and it pushes out nothing that was done', async () => {
  await using store = openMemoryIdentityStore();
  const { audit, list } = auditOn(store, 50);
  audit.note(done('agent:a'));
  for (let moment = 0; moment < 100; moment += 1) {
    for (let index = 0; index < 1_000; index += 1) audit.note(refusal({ actor: `liar-${moment}-${index}` }));
    await audit.settled();
    if (moment > 0) continue;
    const { records } = await list({ outcome: 'refused' });
    expect(records).toHaveLength(21);
    expect(records.reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
    expect(records[0]).toMatchObject({ count: 980, detail: '980 more within a moment, which are not told apart' });
  }
  const rows = await store.newest('refusals', 10_000);
  expect(rows.length).toBeLessThanOrEqual(100);
  expect((await list({ outcome: 'ok', limit: 10_000 })).records).toMatchObject([{ subject: 'agent:a', actor: 'admin' }]);
});

test('acts beyond what is told apart are counted as acts, not as refusals', async () => {
  await using store = openMemoryIdentityStore();
  const { audit, list } = auditOn(store, 10_000);
  for (let index = 0; index < 1_003; index += 1) audit.note(done(`agent:a-${index}`));
  await audit.settled();
  expect((await list({ outcome: 'refused' })).records).toEqual([]);
  expect((await list({ outcome: 'ok' })).records[0]).toMatchObject({ count: 3, detail: expect.stringContaining('3 more') });
});

test('what a caller says of itself is kept up to a length', async () => {
  await using store = openMemoryIdentityStore();
  const { audit, list } = auditOn(store);
  audit.note(refusal({ actor: 'a'.repeat(100_000), subject: 's'.repeat(100_000), detail: 'd'.repeat(100_000) }));
  await audit.settled();
  const [record] = (await list()).records;
  for (const text of [record?.actor, record?.subject, record?.detail]) expect(text).toHaveLength(501);
});

test('pages go through acts and refusals as one, newest first, each record once', async () => {
  await using store = openMemoryIdentityStore();
  const { audit, list, pass } = auditOn(store);
  for (let index = 0; index < 40; index += 1) {
    audit.note(index % 3 === 0 ? done(`s-${index}`) : refusal({ subject: `s-${index}` }));
    await audit.settled();
    pass(10);
  }
  const seen: string[] = [];
  for (let before: string | undefined, more = true; more;) {
    const page = await list({ limit: 7, before });
    seen.push(...page.records.map(({ subject }) => subject));
    before = page.next;
    more = before !== undefined;
  }
  expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => `s-${39 - index}`));
  await expect(list({ before: 'x' })).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'before' });
});

test('records are found by act, by who is in them and by time', async () => {
  await using store = openMemoryIdentityStore();
  const { audit, list, pass } = auditOn(store);
  audit.note(done('agent:early'));
  await audit.settled();
  pass(1_000);
  audit.note(refusal({ actor: 'fork' }));
  audit.note(refusal({ act: 'enrol', subject: 'edge-7' }));
  await audit.settled();
  const subjects = async (query: Partial<AuditQuery>) => (await list(query)).records.map(({ act, subject }) => `${act} ${subject}`);
  expect(await subjects({ act: 'enrol' })).toEqual(['enrol edge-7']);
  expect(await subjects({ who: 'fork' })).toEqual(['call switchyard.v1.Build/SubmitBuild']);
  expect(await subjects({ who: '10.0.0.7' })).toHaveLength(2);
  expect(await subjects({ since: 1_500 })).toHaveLength(2);
  expect(await subjects({ outcome: 'ok' })).toEqual(['deny agent:early']);
});

test('what the store does not take is in the log of the process, and the next notes are kept', async () => {
  await using store = openMemoryIdentityStore();
  await using away = openMemoryIdentityStore();
  let isAway = true;
  const append: IdentityStore['append'] = (...given) => (isAway ? Promise.reject(new Error('away')) : store.append(...given));
  const { audit, log, list } = auditOn({ ...away, append, newest: (...given) => store.newest(...given) });
  audit.note(refusal({ actor: 'lost' }));
  await audit.settled();
  expect(JSON.stringify(log.entries)).toMatch(/audit-not-written.*lost/);
  isAway = false;
  audit.note(refusal({ actor: 'kept' }));
  await audit.settled();
  expect((await list()).records.map(({ actor }) => actor)).toEqual(['kept']);
});

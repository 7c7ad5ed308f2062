import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { memoryLogger } from '../../../base/log.ts';
import { digestOf } from '../../../cache/digest.ts';
import { loadAll } from '../../../test/contract/ledger.ts';
import {
  buildNumber,
  buildRecord,
  chunk,
  eventRecord,
  holdRecord,
  sessionRecord,
  submission,
  tokenNumber,
} from '../../../test/contract/ledger-records.ts';
import { startRedis, type RedisServer } from '../../../test/fixtures/redis.ts';
import { openAt } from '../../../test/fixtures/redis-ledger.ts';
import { startReplica } from '../../../test/fixtures/redis-topology.ts';
import { startRelay } from '../../../test/fixtures/relay.ts';
import { tempDir } from '../../../test/fixtures/temp-dir.ts';
import { until } from '../../../test/fixtures/until.ts';
import type { Ledger } from '../ledger.ts';

const signal = new AbortController().signal;
const build = buildNumber(1);
const lead = async (ledger: Ledger, ttlMs = 60_000) => present(await ledger.lead({ id: 'a', address: 'a:1' }, ttlMs, signal), 'free');
const seqs = async (ledger: Ledger) => (await ledger.events(build, 0, 1_000, signal)).map(({ seq }) => seq);

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.command('FLUSHALL'));
afterAll(() => redis[Symbol.asyncDispose]());

it('applies a commit once when its answer was lost and it is sent again', async () => {
  await using relay = await startRelay(redis.address);
  await using ledger = await openAt(`redis://${relay.address}`, { answerMs: 300 });
  const term = await lead(ledger);
  await ledger.commit(term, [buildRecord(build, []), eventRecord(build, 1)], signal);
  relay.stall('down');
  const commit = ledger.commit(term, [eventRecord(build, 2), chunk(build, tokenNumber(1), 0, Uint8Array.of(1))], signal);
  await until('Redis has the commit', async () => (await redis.command('HGET', '{switchyard}:meta', 'commit')) === '2');
  relay.heal();
  relay.drop();
  await commit;
  expect(await redis.command('XLEN', `{switchyard}:events:${build}`)).toBe(2);
  await ledger.commit(term, [eventRecord(build, 3)], signal);
  expect(await seqs(ledger)).toEqual([1, 2, 3]);
  expect(ledger.state().retries).toBeGreaterThan(0);
});

it('applies nothing twice while connections are cut again and again', async () => {
  await using relay = await startRelay(redis.address);
  await using ledger = await openAt(`redis://${relay.address}`, { answerMs: 300 });
  const term = await lead(ledger);
  await ledger.commit(term, [buildRecord(build, [])], signal);
  for (let seq = 1; seq <= 100; seq += 1) {
    const commit = ledger.commit(term, [eventRecord(build, seq)], signal);
    // At different points of its way.
    if (seq % 5 === 0) setTimeout(() => relay.drop(), seq % 3);
    await commit;
  }
  expect(await redis.command('XLEN', `{switchyard}:events:${build}`)).toBe(100);
  expect(await redis.command('HGET', '{switchyard}:meta', 'commit')).toBe('101');
});

it('waits while Redis stands still, for as long as the term lasts', async () => {
  await using ledger = await openAt(redis.url, { answerMs: 200 });
  const term = await lead(ledger);
  redis.freeze();
  const commit = ledger.commit(term, [buildRecord(build, []), eventRecord(build, 1)], signal);
  await until('it was tried again', () => ledger.state().retries > 1);
  redis.thaw();
  await commit;
  expect(await seqs(ledger)).toEqual([1]);
});

it('gives up with the end of the term, and commits nothing more under it', async () => {
  await using ledger = await openAt(redis.url, { answerMs: 200 });
  const term = await lead(ledger, 700);
  await ledger.commit(term, [buildRecord(build, [])], signal);
  redis.freeze();
  const commit = ledger.commit(term, [eventRecord(build, 1)], signal);
  await expect(commit).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', message: expect.stringContaining('cannot be reached') });
  redis.thaw();
  await expect(ledger.commit(term, [eventRecord(build, 2)], signal)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
});

it('waits out CLIENT PAUSE', async () => {
  await using ledger = await openAt(redis.url, { answerMs: 200 });
  const term = await lead(ledger);
  await redis.command('CLIENT', 'PAUSE', 600, 'ALL');
  await ledger.commit(term, [buildRecord(build, []), eventRecord(build, 1)], signal);
  await ledger.renew(term, 60_000, signal);
  expect(await seqs(ledger)).toEqual([1]);
});

it('goes on after Redis has forgotten the scripts', async () => {
  await using ledger = await openAt(redis.url);
  const term = await lead(ledger);
  await redis.command('SCRIPT', 'FLUSH');
  await ledger.commit(term, [buildRecord(build, []), eventRecord(build, 1)], signal);
  await redis.command('SCRIPT', 'FLUSH');
  await ledger.renew(term, 60_000, signal);
  expect(await seqs(ledger)).toEqual([1]);
});

it('says what to do when the memory is full, keeps the term, lets builds leave, and goes on once there is room', async () => {
  await using ledger = await openAt(redis.url);
  const term = await lead(ledger, 1_500);
  await ledger.commit(term, [buildRecord(build, []), buildRecord(buildNumber(2), [])], signal);
  await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
  try {
    await ledger.renew(term, 1_000, signal);
    await ledger.commit(term, [{ kind: 'build-forgotten', id: buildNumber(2) }], signal);
    await expect(ledger.commit(term, [eventRecord(build, 1)], signal)).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      message: expect.stringMatching(/has no memory left for writes \(OOM/),
      hint: expect.stringContaining('Raise maxmemory'),
    });
    const next = await lead(ledger);
    const waiting = ledger.commit(next, [eventRecord(build, 1)], signal);
    await until('it was tried again', () => ledger.state().retries > 3);
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await waiting;
    expect(await seqs(ledger)).toEqual([1]);
    expect(await loadAll(ledger)).toEqual([buildRecord(build, [])]);
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  }
});

it('refuses a replica at the start, and says so when its server becomes one', async () => {
  await using master = await startRedis();
  await using replica = await startReplica(master);
  await expect(openAt(replica.url, { openMs: 200 })).rejects.toMatchObject({
    code: 'LEDGER_UNAVAILABLE',
    message: expect.stringContaining('is a replica'),
    hint: expect.stringContaining('redis-sentinel://'),
  });
  await using ledger = await openAt(master.url);
  const term = await lead(ledger, 800);
  await master.command('REPLICAOF', '127.0.0.1', replica.port);
  await expect(ledger.commit(term, [holdRecord('agent:a', 'x')], signal)).rejects.toMatchObject({
    code: 'LEDGER_UNAVAILABLE',
    message: expect.stringContaining('READONLY'),
  });
});

it('refuses a Redis that evicts keys', async () => {
  await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
  try {
    await expect(openAt(redis.url)).rejects.toMatchObject({ code: 'CONFIG_INVALID', hint: expect.stringContaining('noeviction') });
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  }
});

it('refuses data of a newer version', async () => {
  await using ledger = await openAt(redis.url);
  await redis.command('HSET', '{switchyard}:meta', 'form', '3');
  await expect(lead(ledger)).rejects.toMatchObject({ code: 'WRONG_STATE', message: expect.stringContaining('form 3') });
});

it('says that nobody answers, and at once that a password is wrong; the password is in no message and no log', async () => {
  const log = memoryLogger();
  await expect(openAt('redis://127.0.0.1:1', { openMs: 100 })).rejects.toMatchObject({
    code: 'LEDGER_UNAVAILABLE',
    message: expect.stringContaining('ECONNREFUSED'),
  });
  await using guarded = await startRedis({ args: ['--requirepass', 'right'], admin: { password: 'right' } });
  const wrong = openAt(`redis://:hunter2@${guarded.address}`, { log });
  await expect(wrong).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', hint: expect.stringContaining('--redis-password-file') });
  await expect(openAt(guarded.url, { log })).rejects.toMatchObject({ message: expect.stringContaining('wants a password') });
  expect(JSON.stringify(log.entries)).not.toContain('hunter2');
  await using dir = await tempDir();
  const path = join(dir.path, 'password');
  await writeFile(path, 'right\n');
  await using ledger = await openAt(guarded.url, { values: { redisPasswordFile: path } });
  await lead(ledger);
});

it('frees the slices of a large commit and the chunks that a segment covers', async () => {
  await using ledger = await openAt(redis.url);
  const term = await lead(ledger);
  const records = Array.from({ length: 2_000 }, (_, index) => eventRecord(build, index + 1));
  await ledger.commit(term, [buildRecord(build, []), ...records], signal);
  expect(await seqs(ledger)).toHaveLength(1_000);
  expect(await redis.command('DBSIZE')).toBe(4); // meta, builds, the build's rows and events
  await ledger.commit(term, [{ kind: 'build-forgotten', id: build }], signal);
  expect(await redis.command('DBSIZE')).toBe(1);
});

it('needs no more than what docs/redis.md lets its user do', async () => {
  const page = await readFile(new URL('../../../docs/redis.md', import.meta.url), 'utf8');
  const [, rule] = present(/^ACL SETUSER switchyard (on >secret .*)$/m.exec(page) ?? undefined, 'the page has the rule');
  await redis.command('ACL', 'SETUSER', 'switchyard', ...present(rule, 'its words').split(' '));
  const log = memoryLogger();
  await using ledger = await openAt(`redis://switchyard:secret@${redis.address}/0`, { log });
  await ledger.claimStore('store', signal);
  const stop = new AbortController();
  const hints: unknown[] = [];
  const listening = (async () => {
    for await (const hint of ledger.hints(stop.signal)) hints.push(hint);
  })();
  await ledger.commit(await lead(ledger), submission(build, ['left over']).slice(0, -1), signal);
  const term = await lead(ledger);
  const names = Array.from({ length: 300 }, (_, index) => `step-${index}`);
  await ledger.commit(term, [...submission(build, names), sessionRecord(1), holdRecord('agent:a', 'x')], signal);
  await ledger.commit(term, [chunk(build, tokenNumber(1), 0, Uint8Array.of(1))], signal);
  await ledger.commit(term, [{ kind: 'log-segment', build, token: tokenNumber(1), offset: 0, digest: digestOf(Uint8Array.of(1)) }], signal);
  await ledger.renew(term, 60_000, signal);
  expect(await loadAll(ledger)).toHaveLength(604);
  expect(await ledger.records(build, signal)).toHaveLength(602);
  expect(await seqs(ledger)).toEqual([1]);
  expect((await ledger.log(tokenNumber(1), signal))?.segments).toHaveLength(1);
  expect(await ledger.leader(signal)).toBeDefined();
  await ledger.commit(
    term,
    [
      { kind: 'hold-lifted', target: 'agent:a' },
      { kind: 'build-forgotten', id: build },
    ],
    signal,
  );
  await ledger.resign(term, signal);
  await until('a hint came', () => hints.length > 0);
  stop.abort();
  await listening;
  expect(await redis.command('ACL', 'LOG')).toEqual([]);
});

it('says in plain words that Redis is not there, at the start and later', async () => {
  const nowhere = openAt('redis://127.0.0.1:1', { answerMs: 200, openMs: 300 });
  await expect(nowhere).rejects.toMatchObject({
    message: 'Redis at 127.0.0.1:1 cannot be reached (connect ECONNREFUSED 127.0.0.1:1)',
    hint: expect.stringContaining('Check that it runs'),
  });
  await using relay = await startRelay(redis.address);
  await using ledger = await openAt(`redis://${relay.address}`, { answerMs: 200, openMs: 3_000 });
  const { commits } = ledger.state();
  expect(commits).toMatchObject({ connected: true, lastError: undefined, latencyMs: expect.any(Number) });
  relay.cut();
  await until('the connection is lost', () => !ledger.state().commits.connected);
  await expect(ledger.claimStore('a', signal)).rejects.toThrow(/^Redis at [\d.:]+ cannot be reached \([^()]*\)$/);
  expect(ledger.state().commits.since).toBeGreaterThanOrEqual(commits.since);
  expect(JSON.stringify(ledger.state())).not.toMatch(/enableOfflineQueue|Expecting data/);
});

it('notices that the connection by which hints come is dead, though nothing is ever asked on it', async () => {
  await using relay = await startRelay(redis.address);
  await using ledger = await openAt(`redis://${relay.address}`, { answerMs: 300 });
  const stop = new AbortController();
  let missed = 0;
  const listening = (async () => {
    for await (const builds of ledger.hints(stop.signal)) if (builds.length === 0) missed += 1;
  })();
  await until('it is subscribed', () => missed > 0);
  const before = missed;
  relay.halfOpen();
  await until('it is subscribed again', () => missed > before);
  stop.abort();
  await listening.catch(() => {});
});

import { expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { loadAll } from '../../../test/contract/ledger.ts';
import { buildNumber, buildRecord, eventRecord, holdRecord, submission } from '../../../test/contract/ledger-records.ts';
import { openAt } from '../../../test/fixtures/redis-ledger.ts';
import { startRedisCluster, startReplica, startSentinel } from '../../../test/fixtures/redis-topology.ts';
import { startRedis, type RedisServer } from '../../../test/fixtures/redis.ts';
import { startRelay } from '../../../test/fixtures/relay.ts';
import { until } from '../../../test/fixtures/until.ts';
import type { Ledger } from '../ledger.ts';

const signal = new AbortController().signal;
const build = buildNumber(1);
const lead = async (ledger: Ledger, ttlMs = 60_000, id = 'a') =>
  present(await ledger.lead({ id, address: `${id}:1` }, ttlMs, signal), 'the leadership is free');
const replicas = (server: RedisServer) => async () => String(await server.command('INFO', 'replication')).includes('state=online');

it('has everything that an append-only file kept when Redis was killed, under a new incarnation', async () => {
  await using redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] });
  await using ledger = await openAt(redis.url);
  const term = await lead(ledger);
  await ledger.commit(term, submission(build, ['a', 'b']), signal);
  const before = await loadAll(ledger);
  // While it syncs it keeps what is new to itself for up to two seconds; what the kernel has survives the process.
  await until('the kernel has it', async () => /aof_buffer_length:0\r/.test(String(await redis.command('INFO', 'persistence'))));
  await redis.kill9();
  const fenced = { code: 'LEDGER_FENCED', message: expect.stringContaining('restarted') };
  // It may be refused before the start returns.
  await Promise.all([expect(ledger.renew(term, 60_000, signal)).rejects.toMatchObject(fenced), redis.start()]);
  const next = await lead(ledger);
  expect(next.incarnation).not.toBe(term.incarnation);
  expect(next.counter).toBeGreaterThan(term.counter);
  expect(await loadAll(ledger)).toEqual(before);
});

it('fences everybody when Redis comes back empty, and begins anew without any term of before', async () => {
  await using redis = await startRedis();
  await using ledger = await openAt(redis.url);
  const term = await lead(ledger);
  await ledger.commit(term, submission(build, ['a']), signal);
  await redis.kill9();
  await redis.start({ empty: true });
  await expect(ledger.commit(term, [eventRecord(build, 2)], signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
  await expect(ledger.renew(term, 60_000, signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
  expect(await ledger.leader(signal)).toBeUndefined();
  expect(await ledger.incarnation(signal)).not.toBe(term.incarnation);
  const next = await lead(ledger);
  expect(next.counter).toBe(term.counter); // the counter began again: the nonce alone tells the terms apart
  expect(next.nonce).not.toBe(term.nonce);
  expect(next.incarnation).not.toBe(term.incarnation);
  expect(await loadAll(ledger)).toEqual([]);
  await ledger.commit(next, submission(build, ['a']), signal);
});

it(
  'follows a failover to a replica that misses the newest commits, fences the term and begins a new incarnation',
  // A sentinel that was starved for two seconds does nothing for thirty (its TILT mode).
  async () => {
    await using master = await startRedis();
    await using relay = await startRelay(master.address);
    await using replica = await startReplica(master, relay.address);
    await using sentinel = await startSentinel(master);
    await until('the sentinel knows the replica', async () => {
      const known = await sentinel.sentinel.command('SENTINEL', 'REPLICAS', 'yard');
      return Array.isArray(known) && known.length === 1;
    });
    await using ledger = await openAt(sentinel.url, { answerMs: 300 });
    const term = await lead(ledger);
    await ledger.commit(term, submission(build, ['a']), signal);
    await until('the replica has it', async () => (await replica.command('HGET', '{switchyard}:meta', 'commit')) === '1');
    relay.stall();
    await ledger.commit(term, [buildRecord(buildNumber(2), [])], signal);
    await master.kill9();
    // Sent again and again until there is a master; it refuses, because the commit before this one is missing.
    await expect(ledger.commit(term, [holdRecord('agent:a', 'x')], signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    expect(await sentinel.masterPort()).toBe(replica.port);
    const next = await until('it leads again', () => ledger.lead({ id: 'a', address: 'a:1' }, 60_000, signal));
    expect(next.incarnation).not.toBe(term.incarnation);
    expect((await loadAll(ledger)).filter(({ kind }) => kind === 'build')).toEqual([buildRecord(build, ['a'])]);
    expect((await loadAll(ledger)).some(({ kind }) => kind === 'hold')).toBe(false);
  },
);

it('acknowledges with --redis-durability replicas only what a replica has', async () => {
  await using master = await startRedis();
  await using replica = await startReplica(master);
  await until('the replica is online', replicas(master));
  await using ledger = await openAt(master.url, { answerMs: 400, values: { redisDurability: 'replicas' } });
  expect(ledger.traits.durability).toBe('power');
  const term = await lead(ledger);
  await ledger.commit(term, [buildRecord(build, [])], signal);
  expect(await replica.command('HGET', '{switchyard}:meta', 'commit')).toBe('1');
  replica.freeze();
  let acknowledged = false;
  const commit = ledger.commit(term, [eventRecord(build, 1)], signal).then(() => (acknowledged = true));
  await until('it was sent again', () => ledger.state().retries > 1);
  expect(acknowledged).toBe(false);
  replica.thaw();
  await commit;
  expect(await replica.command('XLEN', `{switchyard}:events:${build}`)).toBe(1);
  const last = await lead(ledger, 900);
  await replica.kill9();
  await expect(ledger.commit(last, [eventRecord(build, 2)], signal)).rejects.toMatchObject({
    code: 'LEDGER_UNAVAILABLE',
    message: expect.stringContaining('0 of 1 replicas'),
  });
});

it('leads with --redis-durability replicas only once a replica has what the last leader left unconfirmed', async () => {
  await using master = await startRedis();
  await using replica = await startReplica(master);
  await until('the replica is online', replicas(master));
  const options = { answerMs: 400, values: { redisDurability: 'replicas' } } as const;
  const dead = await openAt(master.url, options);
  const term = await lead(dead);
  replica.freeze();
  const commit = dead.commit(term, [buildRecord(build, []), eventRecord(build, 1)], signal);
  commit.catch(() => {});
  await until('the master has it', async () => (await master.command('HGET', '{switchyard}:meta', 'commit')) === '1');
  await using ledger = await openAt(master.url, options);
  let leads = false;
  const leading = lead(ledger).then(() => (leads = true)); // the same holder, which comes again
  await until('it was asked again', () => ledger.state().retries > 1);
  expect(leads).toBe(false);
  replica.thaw();
  await leading;
  expect(await replica.command('XLEN', `{switchyard}:events:${build}`)).toBe(1);
  await dead[Symbol.asyncDispose]();
});

it('promises --redis-durability fsync only where Redis syncs before it answers', async () => {
  const fsync = { values: { redisDurability: 'fsync' } } as const;
  await using none = await startRedis();
  await expect(openAt(none.url, fsync)).rejects.toMatchObject({ code: 'CONFIG_INVALID', hint: expect.stringContaining('appendonly yes') });
  await using always = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  await using ledger = await openAt(always.url, fsync);
  const term = await lead(ledger);
  await ledger.commit(term, [buildRecord(build, [])], signal);
  expect(await loadAll(ledger)).toHaveLength(1);
  const info = String(await always.command('INFO', 'server'));
  await always.command('CONFIG', 'SET', 'appendfsync', 'everysec');
  const asked = openAt(always.url, fsync).then((opened) => opened[Symbol.asyncDispose]());
  if (/redis_version:7\.[01]\./.test(info)) {
    await expect(asked).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('appendfsync everysec') });
  } else await asked; // it is asked to sync after each commit
});

it('goes on when the node of a cluster that holds the ledger is restarted', async () => {
  await using cluster = await startRedisCluster();
  await using ledger = await openAt(cluster.url, { answerMs: 500 });
  const term = await lead(ledger);
  await ledger.commit(term, submission(build, ['a']), signal);
  const sizes = await Promise.all(cluster.masters.map((master) => master.command('DBSIZE')));
  expect(sizes.filter((size) => size !== 0)).toHaveLength(1); // all keys are in one slot
  const node = present(cluster.masters[sizes.findIndex((size) => size !== 0)], 'one node has the keys');
  await node.command('SAVE');
  await node.kill9();
  const commit = ledger.commit(term, [eventRecord(build, 2)], signal);
  await node.start();
  await commit; // nothing was lost
  await expect(ledger.renew(term, 60_000, signal)).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
  const next = await lead(ledger);
  expect(next.incarnation).not.toBe(term.incarnation);
  expect((await ledger.events(build, 0, 10, signal)).map(({ seq }) => seq)).toEqual([1, 2]);
});

import { startRedis, type RedisServer } from '../fixtures/redis.ts';
import { startRelay } from '../fixtures/relay.ts';
import { until } from '../fixtures/until.ts';

/** A Redis with a replica, whose roles change with each failover. As a `RedisServer` it is the one that is the master. */
export interface RedisPair extends RedisServer {
  /** The replica gets nothing more. False where it does not have all of it now: then it goes on. */
  lag(): Promise<boolean>;
  /**
   * The master dies (kill -9) and the replica is promoted, without what it has not got. The old master comes back empty, as
   * the replica.
   */
  failOver(): Promise<void>;
}

const SYNC_MS = 20_000;

/** Starts both; ready when the replica has caught up. */
export async function startRedisPair(args: readonly string[]): Promise<RedisPair> {
  await using stack = new AsyncDisposableStack();
  const both = { args: [...args, '--repl-diskless-sync-delay', '0'] };
  let master = stack.use(await startRedis(both));
  let replica = stack.use(await startRedis(both));
  const link = stack.use(await startRelay(master.address));
  const follow = async () => {
    const [host = '', port = ''] = link.address.split(':');
    await replica.command('REPLICAOF', host, port);
  };
  const isWhole = async () => {
    const [ours, theirs] = await Promise.all([master, replica].map(async (one) => String(await one.command('INFO', 'replication'))));
    const offsetOf = (info = '') => /^master_repl_offset:(\d+)/m.exec(info)?.[1];
    return theirs?.includes('master_link_status:up') === true && offsetOf(ours) === offsetOf(theirs);
  };
  await follow();
  await until('the replica has caught up', isWhole, SYNC_MS);
  const parts = stack.move();
  return {
    host: '127.0.0.1',
    get port() {
      return master.port;
    },
    get address() {
      return master.address;
    },
    get url() {
      return master.url;
    },
    get dir() {
      return master.dir;
    },
    pid: () => master.pid(),
    command: (name, ...words) => master.command(name, ...words),
    kill9: () => master.kill9(),
    stop: () => master.stop(),
    start: (options) => master.start(options),
    freeze: () => master.freeze(),
    thaw: () => master.thaw(),
    log: () => master.log(),
    async lag() {
      // Under load the two are level for moments only.
      const level = await until('the replica has all of it', isWhole, 2_000).then(
        () => true,
        () => false,
      );
      if (level) link.cut();
      return level;
    },
    async failOver() {
      await master.kill9();
      await replica.command('REPLICAOF', 'NO', 'ONE');
      [master, replica] = [replica, master];
      await replica.start({ empty: true });
      link.retarget(master.address);
      link.heal();
      await follow();
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

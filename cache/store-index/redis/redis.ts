import type { Cluster, Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../base/clock.ts';
import { indexGone, refuseAborted } from '../refusals.ts';
import type { StoreIndex } from '../store-index.ts';
import { RedisEntries } from './entries.ts';
import { RedisPacks } from './packs.ts';
import { refused } from './refused.ts';
import { redisFault, refusalIn, scriptRunner, type Answer, type Arg } from './script.ts';

export type RedisStoreIndexOptions = {
  /** A client of Redis or Valkey, 7.0 or newer, which the index does not close. It should queue nothing while it is not connected. */
  readonly client: Redis | Cluster;
  /** What all keys begin with, in braces: one slot of a cluster. Processes with the same prefix are one index. No braces in it. */
  readonly prefix: string;
  /** Where it is, for messages: without user and password. */
  readonly where: string;
  /** The index's clock, instead of the server's: only where one process alone uses it, as tests do. */
  readonly clock?: Pick<Clock, 'now'>;
};

/** One step of the index: an operation of `index.lua` with its arguments. */
export type Step = (signal: AbortSignal, operation: string, ...args: readonly Arg[]) => Promise<Answer>;

/**
 * The index that all data planes of a yard share, in Redis. Each method is one script, or several where it is given long lists: none
 * holds Redis for more than a few milliseconds. Redis may lose its last writes in a failover, or all of them: then the epoch changes,
 * by the identity of the server's history, which every script compares.
 */
export function openRedisStoreIndex(options: RedisStoreIndexOptions): StoreIndex {
  const { client, prefix, where, clock } = options;
  const run = scriptRunner(client);
  const meta = `{${prefix}}:meta`;
  let gone = false;
  const step: Step = async (signal, operation, ...args) => {
    refuseAborted(signal);
    if (gone) throw indexGone();
    try {
      return await run(meta, [operation, clock?.now() ?? '', randomBytes(16).toString('hex'), ...args]);
    } catch (error) {
      const refusal = refusalIn(error);
      throw refusal === undefined ? redisFault(error, where) : refused(refusal.word, refusal.of, args);
    }
  };
  const [packs, entries] = [new RedisPacks(step), new RedisEntries(step)];
  return {
    traits: { shared: true },
    now: (signal) => packs.now(signal),
    epoch: (signal) => packs.epoch(signal),
    async open(epoch, signal) {
      await step(signal, 'open', epoch);
    },
    async complete(epoch, signal) {
      await step(signal, 'complete', epoch);
    },
    addPack: (pack, hold, signal) => packs.add(pack, hold, signal),
    locate: (project, scopes, digests, hold, signal) => packs.locate(project, scopes, digests, hold, signal),
    forget: (owner, rows, signal) => packs.forget(owner, rows, signal),
    async extend({ epoch, id, ttlMs }, signal) {
      await step(signal, 'extend', epoch, id, ttlMs);
    },
    async release({ id }, signal) {
      await step(signal, 'release', id);
    },
    prepare: (entry, hold, signal) => entries.prepare(entry, hold, signal),
    publish: (entry, signal) => entries.publish(entry, signal),
    dropEntry: (entry, signal) => entries.drop(entry, signal),
    entry: (kind, project, scopes, key, signal) => entries.get(kind, project, scopes, key, signal),
    newestEntry: (kind, project, scopes, prefixOfKey, signal) => entries.newest(kind, project, scopes, prefixOfKey, signal),
    entries: (filter, after, limit, signal) => entries.list(filter, after, limit, signal),
    knownObjects: (objects, signal) => entries.known(objects, signal),
    usage: (signal) => packs.usage(signal),
    packs: (filter, after, limit, signal) => packs.list(filter, after, limit, signal),
    condemn: (pack, epoch, unusedSince, signal) => packs.whether(signal, 'condemn', epoch, pack, unusedSince),
    async condemnRecorded(pack, epoch, signal) {
      await step(signal, 'recorded', epoch, pack);
    },
    mayDelete: (pack, epoch, graceMs, signal) => packs.whether(signal, 'may-delete', pack, epoch, graceMs),
    async deleted(pack, signal) {
      await step(signal, 'deleted', pack);
    },
    dropPack: (pack, signal) => packs.whether(signal, 'drop-pack', pack),
    sweep: (signal) => packs.sweep(signal),
    claim: (task, holder, ttlMs, signal) => packs.whether(signal, 'claim', task, holder, ttlMs),
    async replayCondemned(names, epoch, signal) {
      await packs.replay(names, epoch, signal);
      await entries.dropNeedless(epoch, signal);
    },
    restoreEntry: (entry, epoch, signal) => entries.restore(entry, epoch, signal),
    async [Symbol.asyncDispose]() {
      gone = true;
    },
  };
}

import type { Env } from '../../../base/env.ts';
import { Fault } from '../../../base/fault.ts';
import { describeTarget } from '../../../base/redis/target.ts';
import { openHints, type Hints } from '../hints.ts';
import { parseBuildId } from '../../core/ids.ts';
import type { Ledger, SharedLedger, Term } from '../ledger.ts';
import { refuseAborted } from '../refuse-aborted.ts';
import { strange } from './answers.ts';
import type { LedgerRedisConfig } from './config.ts';
import { openConnection, type Connection, type ConnectionState } from './connection.ts';
import { inspectServer, type ServerFacts } from './inspect.ts';
import { redisKeys } from './keys.ts';
import { openPatience } from './patience.ts';
import { command, openReader } from './reader.ts';
import { readScripts } from './scripts.ts';
import { renewTerm, Takeover, type TakeoverOptions } from './takeover.ts';
import { Writer, type HeldTerm } from './writer.ts';

export type RedisLedgerOptions = {
  readonly config: LedgerRedisConfig;
  /** After so long without an answer a call is given up and its connection made anew. @default 1000 */
  readonly answerMs?: number;
  /** How long opening waits for a Redis that cannot be reached or is loading. @default 10000 */
  readonly openMs?: number;
  readonly env: Env;
};

/** How a ledger and its Redis are, for metrics and readiness. */
export type RedisLedgerState = {
  /** Where it is, without user and password. */
  readonly where: string;
  /** Such as `Redis 7.0.15`. */
  readonly version: string;
  /** The connection that commits use. */
  readonly commits: ConnectionState;
  /** The connection that everything else uses: leadership and reads. */
  readonly reads: ConnectionState;
  /** Calls that were tried again, since the ledger was opened. */
  readonly retries: number;
};

/** A ledger in Redis or Valkey, 7.0 or newer: a server, a cluster, or what sentinels name. */
export interface RedisLedger extends SharedLedger {
  state(): RedisLedgerState;
  /** Whether its Redis is asked to wait for its disk, as `DurableOptions` says. */
  waitsForDisk(): boolean;
}

/** What small commits are put together to: larger calls gain nothing, and hold up others. */
const GROUP_RECORDS = 64;
const ANSWER_MS = 1_000;
const OPEN_MS = 10_000;

/**
 * Opens the ledger that all coordinators with the same Redis and prefix share.
 * @throws {Fault} LEDGER_UNAVAILABLE where Redis does not answer in `openMs`, at once where it refuses the credential;
 * CONFIG_INVALID where it would lose builds, is too old, or cannot promise the durability.
 */
export async function openRedisLedger(options: RedisLedgerOptions): Promise<RedisLedger> {
  const { config, env, answerMs = ANSWER_MS, openMs = OPEN_MS } = options;
  const where = describeTarget(config.target);
  const connect = (role: string) => openConnection({ config, role, answerMs, env });
  const [commits, reads] = [connect('commits'), connect('reads')];
  const keys = redisKeys(config.prefix);
  const scripts = readScripts();
  const patience = openPatience(env, where);
  const inspect = () => inspectServer({ connection: reads, keys, scripts, durability: config.durability });
  let facts: ServerFacts;
  try {
    const end = env.clock.monotonic() + openMs;
    facts = await patience.persist(inspect, () => end);
    await patience.persist(
      () => commits.call(command('HGET', keys.meta, 'form')),
      () => end,
    );
  } catch (error) {
    commits.close();
    reads.close();
    throw error;
  }
  env.log.info('redis-connected', { where, version: facts.version, durability: config.durability.kind });
  const shared = { connection: reads, keys, scripts, patience, env };
  const waitsForDisk = () => facts.waitsForDisk;
  const durable = { durability: config.durability, waitsForDisk, answerMs };
  const writer = new Writer({ ...shared, ...durable, connection: commits });
  const hints = subscription(() => connect('hints'), keys.hints);
  const inspectAgain = async (signal: AbortSignal) => {
    const end = env.clock.monotonic() + answerMs;
    facts = await patience.persist(inspect, () => end, signal);
  };
  return {
    traits: { durability: config.durability.kind === 'memory' ? 'process' : 'power', shared: true, groupRecordsMax: GROUP_RECORDS },
    state: () => ({ where, version: facts.version, commits: commits.state(), reads: reads.state(), retries: patience.retries() }),
    waitsForDisk,
    ...leading({ ...shared, ...durable }, writer, inspectAgain),
    ...openReader(shared),
    async claimStore(name, signal) {
      refuseAborted(signal);
      const end = env.clock.monotonic() + openMs;
      const claim = () => reads.call(command('HSETNX', keys.meta, 'store', name), command('HGET', keys.meta, 'store'));
      const [, kept] = await patience.persist(claim, () => end, signal);
      if (typeof kept !== 'string') throw strange(kept);
      return kept;
    },
    hints: (signal) => hints.listen(signal),
    async [Symbol.asyncDispose]() {
      for (const connection of [commits, reads]) connection.close();
      hints.close();
    },
  };
}

/** What a leader does. `inspectAgain` looks at the server before each term: after a failover it may be another one. */
function leading(
  options: TakeoverOptions,
  writer: Writer,
  inspectAgain: (signal: AbortSignal) => Promise<void>,
): Pick<Ledger, 'lead' | 'renew' | 'resign' | 'commit'> {
  const { connection, keys, scripts, patience, env, answerMs } = options;
  const takeover = new Takeover(options);
  let held: HeldTerm | undefined;
  const heldOf = (term: Term): HeldTerm => {
    const { counter, nonce, incarnation } = held?.term ?? {};
    if (held !== undefined && counter === term.counter && nonce === term.nonce && incarnation === term.incarnation) return held;
    throw new Fault('LEDGER_FENCED', 'This coordinator does not hold the term any more');
  };
  return {
    async lead(holder, ttlMs, signal) {
      refuseAborted(signal);
      await inspectAgain(signal);
      const taken = await takeover.lead(holder, ttlMs);
      if (taken === undefined) return undefined;
      held = taken;
      return taken.term;
    },
    async renew(term, ttlMs, signal) {
      refuseAborted(signal);
      const own = heldOf(term);
      await patience.persist(
        () => renewTerm(options, own, ttlMs),
        () => own.endsAt,
        signal,
      );
    },
    async resign({ counter, nonce, incarnation }, signal) {
      refuseAborted(signal);
      const end = env.clock.monotonic() + answerMs;
      const args = [counter, nonce, incarnation, keys.hints];
      await patience.persist(
        () => connection.call({ kind: 'script', script: scripts.resign, keys: [keys.meta], args }),
        () => end,
        signal,
      );
    },
    async commit(term, records, signal) {
      refuseAborted(signal);
      await writer.commit(heldOf(term), records);
    },
  };
}

/** Hints as they come from Redis; there is a connection while anybody listens. */
function subscription(connect: () => Connection, channel: string): Pick<Hints, 'listen'> & { close(): void } {
  const hints = openHints();
  let connection: Connection | undefined;
  let listeners = 0;
  const leave = () => {
    listeners -= 1;
    if (listeners > 0) return;
    connection?.close();
    connection = undefined;
  };
  return {
    listen(signal) {
      const listening = hints.listen(signal);
      if (signal.aborted) return listening;
      listeners += 1;
      signal.addEventListener('abort', leave, { once: true });
      if (connection === undefined) {
        connection = connect();
        connection.subscribe(channel, (message) => hints.give(message.split(',').flatMap((text) => parseBuildId(text) ?? [])));
      }
      return listening;
    },
    close: () => connection?.close(),
  };
}

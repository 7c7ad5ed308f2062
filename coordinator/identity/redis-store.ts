import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { describeTarget } from '../../base/redis/target.ts';
import type { LedgerRedisConfig } from '../ledger/redis/config.ts';
import { openConnection, type Call } from '../ledger/redis/connection.ts';
import { callDurably } from '../ledger/redis/durable.ts';
import { openPatience } from '../ledger/redis/patience.ts';
import { command } from '../ledger/redis/reader.ts';
import type { IdentityRow, IdentityStore, IdentityTable } from './store.ts';

/** After so long without an answer the connection counts as dead and is made anew. */
const ANSWER_MS = 1_000;
/** How long a call is tried again: over a failover, and no longer than somebody waits for an answer. */
const PATIENCE_MS = 5_000;

/**
 * In the Redis of the ledger, under its prefix. It keeps what it has acknowledged as well as the ledger with the same durability does;
 * `waitsForDisk` as there. Calls throw LEDGER_UNAVAILABLE where Redis does not answer.
 */
export function openRedisIdentityStore(config: LedgerRedisConfig, waitsForDisk: () => boolean, env: Env): IdentityStore {
  const connection = openConnection({ config, role: 'identity', answerMs: ANSWER_MS, env });
  const patience = openPatience(env, describeTarget(config.target));
  const key = (name: string) => `{${config.prefix}}:identity:${name}`;
  const ask = (...calls: readonly Call[]): Promise<readonly unknown[]> => {
    const end = env.clock.monotonic() + PATIENCE_MS;
    return patience.persist(
      () => connection.call(...calls),
      () => end,
    );
  };
  const durable = { connection, durability: config.durability, waitsForDisk, answerMs: ANSWER_MS };
  /** Changes the number of the table last: whoever sees the new number finds what it stands for. */
  const change = async (table: IdentityTable, call: Call): Promise<number> => {
    const end = env.clock.monotonic() + PATIENCE_MS;
    const changed = await patience.persist(
      () => callDurably(durable, call),
      () => end,
    );
    await ask(command('HINCRBY', key('versions'), table, 1));
    return Number(changed);
  };
  return {
    add: async (table, name, body) => (await change(table, command('HSETNX', key(table), name, body))) === 1,
    put: async (table, name, body) => void (await change(table, command('HSET', key(table), name, body))),
    async get(table, name) {
      const [body] = await ask(command('HGET', key(table), name));
      return typeof body === 'string' ? body : undefined;
    },
    remove: async (table, name) => (await change(table, command('HDEL', key(table), name))) === 1,
    async all(table) {
      const [answer] = await ask(command('HGETALL', key(table)));
      const texts = textsOf(answer);
      return new Map(texts.flatMap((name, index) => (index % 2 === 0 ? [[name, texts[index + 1] ?? ''] as const] : [])));
    },
    async version(table) {
      const [number] = await ask(command('HGET', key('versions'), table));
      return Number(number ?? 0);
    },
    async append(log, bodies, keep) {
      if (bodies.length === 0) return;
      await ask(...bodies.map((body) => command('XADD', key(log), 'MAXLEN', '~', keep, '*', 'body', body)));
    },
    async newest(log, limit, before) {
      const [answer] = await ask(command('XREVRANGE', key(log), before === undefined ? '+' : `(${before}`, '-', 'COUNT', limit));
      return Array.isArray(answer) ? answer.map(rowOf) : [];
    },
    async [Symbol.asyncDispose]() {
      connection.close();
    },
  };
}

function textsOf(answer: unknown): readonly string[] {
  if (Array.isArray(answer) && answer.every((text) => typeof text === 'string')) return answer;
  throw strange(answer);
}

/** An entry of the stream: its id, and its fields, of which there is one. */
function rowOf(entry: unknown): IdentityRow {
  if (Array.isArray(entry)) {
    const [id, fields] = entry as readonly unknown[];
    if (typeof id === 'string' && Array.isArray(fields) && typeof fields[1] === 'string') return { id, body: fields[1] };
  }
  throw strange(entry);
}

function strange(answer: unknown): Fault {
  return new Fault('LEDGER_UNAVAILABLE', `Redis gave an answer that makes no sense: ${JSON.stringify(answer)?.slice(0, 200)}`);
}

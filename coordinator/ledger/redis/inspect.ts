import { Fault } from '../../../base/fault.ts';
import { strange } from './answers.ts';
import type { RedisDurability } from './config.ts';
import type { Connection } from './connection.ts';
import type { RedisKeys } from './keys.ts';
import { command } from './reader.ts';
import type { Scripts } from './scripts.ts';

/** What matters of the server that holds the ledger. */
export type ServerFacts = {
  /** Such as `Redis 7.0.15`. */
  readonly version: string;
  /** Whether WAITAOF is there (Redis and Valkey 7.2). */
  readonly waitsForDisk: boolean;
};

export type InspectOptions = {
  readonly connection: Connection;
  readonly keys: RedisKeys;
  readonly scripts: Scripts;
  readonly durability: RedisDurability;
};

/**
 * Looks at the server and refuses one that would lose builds or cannot promise the durability. Throws what Redis said
 * where it does not answer.
 * @throws {Fault} CONFIG_INVALID saying which setting of Redis is wrong
 */
export async function inspectServer({ connection, keys, scripts, durability }: InspectOptions): Promise<ServerFacts> {
  const [answer] = await connection.call({ kind: 'script', script: scripts.inspect, keys: [keys.meta], args: [] }).catch(explainOld);
  if (typeof answer !== 'string') throw strange(answer);
  const facts = new Map([...answer.matchAll(/^(\w+):(.*?)\r?$/gm)].map((match) => [match[1] ?? '', match[2] ?? '']));
  const fact = (name: string) => facts.get(name) ?? '';
  const valkey = facts.get('valkey_version');
  const version = valkey === undefined ? `Redis ${fact('redis_version')}` : `Valkey ${valkey}`;
  const [major = 0, minor = 0] = fact('redis_version').split('.').map(Number);
  if (fact('role') === 'slave') throw new Error('READONLY this server is a replica');
  const policy = fact('maxmemory_policy');
  if (policy.startsWith('allkeys')) {
    throw new Fault('CONFIG_INVALID', `Redis evicts any key when its memory is full (maxmemory-policy ${policy}): it would lose builds`, {
      hint: 'Set maxmemory-policy to noeviction, or use a Redis of its own for the ledger.',
    });
  }
  const waitsForDisk = major > 7 || (major === 7 && minor >= 2);
  if (durability.kind === 'fsync')
    await requireSync({ connection, keys, scripts, durability }, fact('aof_enabled') === '1', waitsForDisk, version);
  return { version, waitsForDisk };
}

async function requireSync(options: InspectOptions, appends: boolean, waitsForDisk: boolean, version: string): Promise<void> {
  const refuse = (what: string, hint: string) => new Fault('CONFIG_INVALID', `--redis-durability fsync: ${what}`, { hint });
  if (!appends) throw refuse('Redis keeps no append-only file', 'Set appendonly yes in Redis, or choose another --redis-durability.');
  if (waitsForDisk) return;
  const always = 'Set appendfsync always in Redis, or use Redis 7.2 or newer, which can be asked to sync.';
  const calls = [
    { kind: 'script', script: options.scripts.inspect, keys: [options.keys.meta], args: [] },
    command('CONFIG', 'GET', 'appendfsync'),
  ] as const;
  let answer: unknown;
  try {
    [, answer] = await options.connection.call(...calls);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOPERM'))) throw error;
    throw refuse(`${version} cannot be asked to sync, and its user may not ask for its settings (CONFIG GET)`, always);
  }
  const setting = Array.isArray(answer) ? String(answer[1]) : '';
  if (setting !== 'always') throw refuse(`${version} cannot be asked to sync, and has appendfsync ${setting}`, always);
}

/** Redis before 7 does not know how our scripts begin. */
function explainOld(error: unknown): never {
  if (error instanceof Error && /Error compiling script|unexpected symbol near '#'/.test(error.message)) {
    throw new Fault('CONFIG_INVALID', 'Redis is too old for the ledger', { hint: 'Use Redis or Valkey 7.0 or newer.', cause: error });
  }
  throw error;
}

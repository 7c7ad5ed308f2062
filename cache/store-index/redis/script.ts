import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';
import { Fault } from '../../../base/fault.ts';
import { reasonOf } from '../../../base/thrown.ts';

/** An argument of the script. */
export type Arg = string | number | Uint8Array;

/** What the script answers: bytes, lists of answers, nothing. */
export type Answer = Buffer | null | number | readonly Answer[];

export type ScriptRunner = (meta: string, args: readonly Arg[]) => Promise<Answer>;

/** Runs `index.lua`, which Redis keeps after the first time. Throws what Redis or the socket said. */
export function scriptRunner(client: Redis | Cluster): ScriptRunner {
  const text = textOf('index');
  const sha = createHash('sha1').update(text).digest('hex');
  return async (meta, args) => {
    const wire = args.map((arg) => (typeof arg === 'object' ? Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength) : arg));
    try {
      return (await client.callBuffer('EVALSHA', sha, 1, meta, ...wire)) as Answer; // as Redis' protocol has them
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return (await client.callBuffer('EVAL', text, 1, meta, ...wire)) as Answer;
    }
  };
}

function textOf(name: string): string {
  const text = readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
  return text.replaceAll(/^-- include (\w+)\n/gm, (_, included: string) => textOf(included));
}

/** Why the script refused: its word, and what it says of it. Undefined for every other error. */
export function refusalIn(error: unknown): { readonly word: string; readonly of: string } | undefined {
  const [, word, of = ''] = /^REFUSED (\S+) ?(.*)$/s.exec(error instanceof Error ? error.message : '') ?? [];
  return word === undefined ? undefined : { word, of };
}

/** What Redis or the socket said, as a fault for an operator. */
export function redisFault(error: unknown, where: string): Fault {
  if (error instanceof Fault) return error;
  const text = reasonOf(error);
  const hint =
    HINTS.find(([pattern]) => pattern.test(text))?.[1] ?? 'Check that Redis runs and can be reached; its own log may have the cause.';
  return new Fault('STORE_UNAVAILABLE', `The store's index in Redis at ${where} failed: ${text}`, { hint, cause: error });
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/^OOM/, 'Raise maxmemory: the index needs about 100 bytes for each blob. Keep maxmemory-policy noeviction.'],
  [/^READONLY/, 'This is a replica: give the address of the master, or follow failovers with sentinels or a cluster.'],
  [/^MISCONF/, 'Make room on the disk of Redis, or repair it.'],
  [/^LOADING/, 'Redis is still loading its data: wait until it has.'],
  [/^(NOAUTH|WRONGPASS|NOPERM)/, 'Check the user and password, and that the user may run scripts.'],
  [/^WRONGTYPE/, 'Something else writes under the names of the index: give it a prefix of its own.'],
];

// ── reading answers ──

export function listOf(answer: Answer | undefined): readonly Answer[] {
  if (Array.isArray(answer)) return answer;
  throw strange(answer);
}

export function bytesOf(answer: Answer | undefined): Buffer {
  if (Buffer.isBuffer(answer)) return answer;
  if (typeof answer === 'number') return Buffer.from(String(answer));
  throw strange(answer);
}

export function textIn(answer: Answer | undefined): string {
  return bytesOf(answer).toString();
}

function strange(answer: unknown): Fault {
  return new Fault('STORE_UNAVAILABLE', `Redis answered what no index answers: ${JSON.stringify(answer)?.slice(0, 200)}`, {
    hint: 'Check that the URL leads to Redis or Valkey 7 or newer, and that nothing else writes below the prefix.',
  });
}

import { Redis, type Cluster } from 'ioredis';
import type { Env } from '../../../base/env.ts';
import type { TimeMs } from '../../../base/clock.ts';
import { clientOf } from '../../../base/redis/client.ts';
import type { RedisConfig } from '../../../base/redis/config.ts';
import { messageOf, plainText } from './faults.ts';
import type { Arg } from './operations.ts';
import type { Script } from './scripts.ts';

/** A command, or a script with its keys. */
export type Call =
  | { readonly kind: 'command'; readonly name: string; readonly args: readonly Arg[]; readonly bytes?: true }
  | { readonly kind: 'script'; readonly script: Script; readonly keys: readonly string[]; readonly args: readonly Arg[] };

/** What is known of a connection, for metrics and readiness. */
export type ConnectionState = {
  readonly connected: boolean;
  /** When it was connected, or lost; when it was opened, while it has never been connected. */
  readonly since: TimeMs;
  /** How long the last answer took. */
  readonly latencyMs: number | undefined;
  /** Why it is not connected, or why the last call failed; undefined while all is well. */
  readonly lastError: string | undefined;
};

/** A connection that comes back by itself. Nothing is queued while it is away: calls fail at once. */
export interface Connection {
  /**
   * Sends the calls together, in their order and to the same server, and returns their answers.
   * Throws the first error among them as Redis or the socket gave it, whatever the others did.
   */
  call(...calls: readonly Call[]): Promise<readonly unknown[]>;
  /** Hands on what comes on the channel, and '' whenever something may have been missed. Call it once. */
  subscribe(channel: string, give: (message: string) => void): void;
  state(): ConnectionState;
  close(): void;
}

export type ConnectionOptions = {
  readonly config: RedisConfig;
  readonly role: string;
  /** After so long without an answer, the connection counts as dead and is made anew. */
  readonly answerMs: number;
  readonly env: Env;
};

/** Time between two questions whether the connection of a subscriber stands. */
const PING_MS = 5_000;

export function openConnection({ config, role, answerMs, env }: ConnectionOptions): Connection {
  const client = clientOf(config, role, answerMs);
  let lastError: string | undefined;
  let latencyMs: number | undefined;
  let since = env.clock.now();
  let pings: NodeJS.Timeout | undefined;
  const fail = (error: unknown) => (lastError = messageOf(error));
  client.on('error', (error: unknown) => {
    const text = messageOf(error);
    if (text !== lastError) env.log.warn('redis-connection-failed', { role, reason: plainText(text) });
    fail(error);
  });
  let wasReady = false;
  client.on('ready', () => {
    lastError = undefined;
    if (!wasReady) since = env.clock.now();
    wasReady = true;
  });
  client.on('close', () => {
    if (wasReady) since = env.clock.now();
    wasReady = false;
  });
  return {
    async call(...calls) {
      const startedAt = env.clock.monotonic();
      try {
        const answers = await within(answerMs * 1.5, send(client, calls));
        latencyMs = env.clock.monotonic() - startedAt;
        lastError = undefined;
        return answers;
      } catch (error) {
        // While it is away, why it went says more than that it is.
        if (client.status !== 'ready' && lastError !== undefined) throw new Error(`${lastError}; ${messageOf(error)}`, { cause: error });
        fail(error);
        throw error;
      }
    },
    subscribe(channel, give) {
      client.on('message', (from: string, message: string) => {
        if (from === channel) give(message);
      });
      const again = () => {
        client.subscribe(channel).then(
          () => give(''),
          () => {}, // The next connection tries again.
        );
      };
      client.on('ready', again);
      client.on('+node', again);
      if (client.status === 'ready') again();
      // Nothing else is ever sent here: what is not answered shows that the connection is dead, and it is made anew.
      pings = setInterval(() => {
        if (client.status === 'ready') client.ping().catch(() => {});
      }, PING_MS);
    },
    state: () => ({
      connected: client.status === 'ready',
      since,
      latencyMs,
      lastError: lastError === undefined ? undefined : plainText(lastError),
    }),
    close: () => {
      clearInterval(pings);
      client.disconnect();
    },
  };
}

async function send(client: Redis | Cluster, calls: readonly Call[]): Promise<readonly unknown[]> {
  const answers = await exec(client, calls, false);
  const missing = answers.some(([error]) => error !== null && error.message.startsWith('NOSCRIPT'));
  // A script that Redis does not know did nothing; all are sent again with their texts, as one cannot tell which were known.
  const final = missing ? await exec(client, calls, true) : answers;
  for (const [error] of final) if (error !== null) throw error;
  return final.map(([, answer]) => answer);
}

/** Calls that are written one by one. */
const PLAIN_CALLS_MAX = 2;

type Answers = readonly (readonly [Error | null, unknown])[];

async function exec(client: Redis | Cluster, calls: readonly Call[], texts: boolean): Promise<Answers> {
  // One connection keeps the order by itself, and a pipeline costs a commit more than its call: ioredis makes each with hundreds
  // of methods. Many calls travel better in one, and in a cluster only a pipeline stays with one server.
  if (client instanceof Redis && calls.length <= PLAIN_CALLS_MAX)
    return Promise.all(calls.map((call) => settled(give(client, call, texts))));
  const pipeline = client.pipeline();
  for (const call of calls) void give(pipeline, call, texts);
  const answers = await pipeline.exec();
  if (answers === null) throw new Error('Connection is closed.');
  return answers;
}

/** Where a call can be given to: it begins within the call. */
type Taker = {
  call(name: string, ...args: (string | number | Buffer)[]): unknown;
  callBuffer(name: string, ...args: (string | number | Buffer)[]): unknown;
};

function give(taker: Taker, call: Call, texts: boolean): unknown {
  if (call.kind === 'script') {
    const { script, keys, args } = call;
    const head = texts ? (['EVAL', script.text] as const) : (['EVALSHA', script.sha] as const);
    return taker.call(head[0], head[1], keys.length, ...keys, ...args.map(wireOf));
  }
  return call.bytes === true ? taker.callBuffer(call.name, ...call.args.map(wireOf)) : taker.call(call.name, ...call.args.map(wireOf));
}

async function settled(answer: unknown): Promise<Answers[number]> {
  try {
    return [null, await answer];
  } catch (error) {
    return [error instanceof Error ? error : new Error(String(error)), undefined];
  }
}

function wireOf(arg: Arg): string | number | Buffer {
  return typeof arg === 'object' ? Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength) : arg;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

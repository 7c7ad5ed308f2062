import type { Env } from '../../../base/env.ts';
import { Fault } from '../../../base/fault.ts';
import { parseDigest } from '../../../cache/digest.ts';
import type { BuildId, LeaseToken } from '../../core/ids.ts';
import type { BuildEvent, LedgerRecord } from '../../core/record.ts';
import { decodeEvent, decodeRow, type StoredRow } from '../codec.ts';
import type { Leader, StoredLog } from '../ledger.ts';
import { refuseAborted } from '../refuse-aborted.ts';
import { fields, strange, texts } from './answers.ts';
import type { Call, Connection } from './connection.ts';
import type { RedisKeys } from './keys.ts';
import { fieldOf, type Arg } from './operations.ts';
import type { Patience } from './patience.ts';
import type { Scripts } from './scripts.ts';

/** Everything that only reads, in calls of bounded size. */
export interface Reader {
  load(signal: AbortSignal): AsyncIterable<readonly LedgerRecord[]>;
  records(build: BuildId, signal: AbortSignal): Promise<readonly LedgerRecord[]>;
  events(build: BuildId, afterSeq: number, limit: number, signal: AbortSignal): Promise<readonly BuildEvent[]>;
  log(token: LeaseToken, signal: AbortSignal): Promise<StoredLog | undefined>;
  leader(signal: AbortSignal): Promise<Leader | undefined>;
  incarnation(signal: AbortSignal): Promise<string>;
}

export type ReaderOptions = {
  readonly connection: Connection;
  readonly keys: RedisKeys;
  readonly scripts: Scripts;
  readonly patience: Patience;
  readonly env: Env;
};

/** How long a read goes on trying. */
const READ_MS = 3_000;
const PAGE_BUILDS = 128;
const PAGE_STEPS = 128;
const PAGE_EVENTS = 512;
const PAGE_FIELDS = 512;

export function openReader({ connection, keys, scripts, patience, env }: ReaderOptions): Reader {
  const ask = async (signal: AbortSignal, ...calls: readonly Call[]): Promise<readonly unknown[]> => {
    refuseAborted(signal);
    const end = env.clock.monotonic() + READ_MS;
    return await patience.persist(
      () => connection.call(...calls),
      () => end,
      signal,
    );
  };
  const one = async (signal: AbortSignal, name: string, ...args: readonly Arg[]) => (await ask(signal, command(name, ...args)))[0];

  async function* stepsOf(build: string, names: readonly string[], signal: AbortSignal): AsyncGenerator<readonly LedgerRecord[]> {
    for (let from = 0; from < names.length; from += PAGE_STEPS) {
      const page = names.slice(from, from + PAGE_STEPS);
      const wanted = [...page.map((name) => ['step-spec', name] as const), ...page.map((name) => ['step', name] as const)];
      const bodies = fields(await one(signal, 'HMGET', keys.rows(build), ...wanted.map(([rowClass, name]) => fieldOf(rowClass, name))));
      const rows = wanted.flatMap(([rowClass, name], index): StoredRow[] => {
        const body = bodies[index];
        return body === undefined ? [] : [{ class: rowClass, key: `${build}/${name}`, body }];
      });
      if (rows.length > 0) yield rows.map(decodeRow);
    }
  }

  async function* buildsOf(builds: readonly string[], signal: AbortSignal): AsyncGenerator<readonly LedgerRecord[]> {
    const heads = await ask(signal, ...builds.map((build) => command('HMGET', keys.rows(build), 'build', 'state')));
    for (const [index, build] of builds.entries()) {
      const [body, state] = fields(heads[index]);
      if (body === undefined) continue;
      const head = decodeRow({ class: 'build', key: build, body });
      yield state === undefined ? [head] : [head, decodeRow({ class: 'build-state', key: build, body: state })];
      if (head.kind === 'build') yield* stepsOf(build, head.build.stepNames, signal);
    }
  }

  /** All rows of a hash by key; a hash that grows while it is read may show a key twice. */
  async function table(rowClass: 'session' | 'hold', key: string, signal: AbortSignal): Promise<readonly LedgerRecord[]> {
    const rows = new Map<string, string>();
    for (let cursor = '0'; ;) {
      const answer = await one(signal, 'HSCAN', key, cursor, 'COUNT', PAGE_FIELDS);
      if (!Array.isArray(answer)) throw strange(answer);
      const pairs = texts(answer[1]);
      for (let index = 0; index + 1 < pairs.length; index += 2) rows.set(pairs[index] ?? '', pairs[index + 1] ?? '');
      cursor = String(answer[0]);
      if (cursor === '0') break;
    }
    const sorted = [...rows].toSorted(([left], [right]) => (left < right ? -1 : 1));
    return sorted.map(([name, body]) => decodeRow({ class: rowClass, key: name, body }));
  }

  return {
    async *load(signal) {
      for (let after = '-'; ;) {
        const page = texts(await one(signal, 'ZRANGEBYLEX', keys.builds, after, '+', 'LIMIT', 0, PAGE_BUILDS));
        const last = page.at(-1);
        if (last === undefined) break;
        yield* buildsOf(page, signal);
        after = `(${last}`;
      }
      for (const records of [await table('session', keys.sessions, signal), await table('hold', keys.holds, signal)])
        if (records.length > 0) yield records;
    },
    async records(build, signal) {
      if ((await one(signal, 'ZSCORE', keys.builds, build)) === null) return [];
      const records: LedgerRecord[] = [];
      for await (const batch of buildsOf([build], signal)) records.push(...batch);
      return records;
    },
    async events(build, afterSeq, limit, signal) {
      const events: BuildEvent[] = [];
      for (let after = afterSeq; events.length < limit;) {
        const count = Math.min(PAGE_EVENTS, limit - events.length);
        const page = await one(signal, 'XRANGE', keys.events(build), String(after + 1), '+', 'COUNT', count);
        if (!Array.isArray(page)) throw strange(page);
        for (const entry of page) events.push(eventOf(build, entry));
        if (page.length < count) break;
        after = events.at(-1)?.seq ?? after;
      }
      return events;
    },
    async log(token, signal) {
      const [answer] = await ask(signal, { kind: 'command', name: 'HGETALL', args: [keys.log(token)], bytes: true });
      return logOf(answer);
    },
    async leader(signal) {
      const [answer] = await ask(signal, { kind: 'script', script: scripts.leader, keys: [keys.meta], args: [] });
      const [id, address] = texts(answer);
      return id === undefined || address === undefined ? undefined : { id, address };
    },
    async incarnation(signal) {
      const answer = await one(signal, 'HGET', keys.meta, 'incarnation');
      // Nobody has led yet: there is nothing that a cursor could point into.
      return typeof answer === 'string' ? answer : 'none';
    },
  };
}

export function command(name: string, ...args: readonly Arg[]): Call {
  return { kind: 'command', name, args };
}

function eventOf(build: BuildId, entry: unknown): BuildEvent {
  if (!Array.isArray(entry) || !Array.isArray(entry[1])) throw strange(entry);
  return decodeEvent(build, Number.parseInt(String(entry[0]), 10), String(entry[1][1]));
}

/** A log's hash, as a list of names and values. */
function logOf(answer: unknown): StoredLog | undefined {
  if (!Array.isArray(answer)) throw strange(answer);
  if (answer.length === 0) return undefined;
  const log = {
    segments: [] as StoredLog['segments'][number][],
    chunks: [] as StoredLog['chunks'][number][],
    sealed: undefined as StoredLog['sealed'],
  };
  for (let index = 0; index + 1 < answer.length; index += 2) {
    const name = String(answer[index]);
    const value: unknown = answer[index + 1];
    if (!(value instanceof Uint8Array)) throw strange(value);
    if (name.startsWith('c')) log.chunks.push({ offset: Number(name.slice(1)), bytes: new Uint8Array(value) });
    else if (name.startsWith('s') && name !== 'sealed') log.segments.push({ offset: Number(name.slice(1)), digest: digestFrom(value) });
    else {
      const [digest = '', truncated] = String(value).split(' ');
      log.sealed = { digest: digestFrom(digest), truncated: truncated === '1' };
    }
  }
  log.chunks.sort((left, right) => left.offset - right.offset);
  log.segments.sort((left, right) => left.offset - right.offset);
  return log;
}

function digestFrom(value: Uint8Array | string) {
  const digest = parseDigest(String(value));
  if (digest === undefined) throw new Fault('LEDGER_UNAVAILABLE', `The ledger holds a damaged digest: ${String(value)}`);
  return digest;
}

import type { TimeMs } from '../../../base/clock.ts';
import type { Env } from '../../../base/env.ts';
import { Fault } from '../../../base/fault.ts';
import { parseDigest } from '../../../cache/digest.ts';
import { stepIdOf, type BuildId, type LeaseToken } from '../../core/ids.ts';
import type { BuildEvent, BuildRecord, LedgerRecord } from '../../core/record.ts';
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
  now(signal: AbortSignal): Promise<TimeMs>;
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
  const ask: Ask = async (signal, ...calls) => {
    refuseAborted(signal);
    const end = env.clock.monotonic() + READ_MS;
    return await patience.persist(
      () => connection.call(...calls),
      () => end,
      signal,
    );
  };
  return {
    async *load(signal) {
      for (let after = '-'; ;) {
        const [answer] = await ask(signal, command('ZRANGEBYLEX', keys.builds, after, '+', 'LIMIT', 0, PAGE_BUILDS));
        const page = texts(answer);
        const last = page.at(-1);
        if (last === undefined) break;
        yield* buildsOf(ask, keys, page, signal);
        after = `(${last}`;
      }
      for (const [rowClass, key] of [
        ['session', keys.sessions] as const,
        ['hold', keys.holds] as const,
        ['topology', keys.topologies] as const,
      ]) {
        const records = await tableOf(ask, rowClass, key, signal);
        if (records.length > 0) yield records;
      }
    },
    async records(build, signal) {
      /** How many events the build has; undefined where it is not there. */
      const eventCount = async () => {
        const [score, count] = await ask(signal, command('ZSCORE', keys.builds, build), command('XLEN', keys.events(build)));
        return score === null ? undefined : Number(count);
      };
      const before = await eventCount();
      if (before === undefined) return [];
      const records: LedgerRecord[] = [];
      for await (const batch of buildsOf(ask, keys, [build], signal)) records.push(...batch);
      const after = await eventCount();
      if (after === undefined) return [];
      // What is of two moments could say of one step more than of another, and a watcher that goes on from there would miss events.
      return after === before ? records : await wholeOf(ask, keys.rows(build), build, signal);
    },
    events: (build, afterSeq, limit, signal) => eventsOf(ask, keys.events(build), { build, afterSeq, limit }, signal),
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
      const [answer] = await ask(signal, command('HGET', keys.meta, 'incarnation'));
      // Nobody has led yet: there is nothing that a cursor could point into.
      return typeof answer === 'string' ? answer : 'none';
    },
    async now(signal) {
      const [answer] = await ask(signal, { kind: 'script', script: scripts.now, keys: [keys.meta], args: [] });
      if (typeof answer !== 'number') throw strange(answer);
      return answer;
    },
  };
}

type Ask = (signal: AbortSignal, ...calls: readonly Call[]) => Promise<readonly unknown[]>;

async function* buildsOf(
  ask: Ask,
  keys: RedisKeys,
  builds: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<readonly LedgerRecord[]> {
  const heads = await ask(signal, ...builds.map((build) => command('HMGET', keys.rows(build), 'build', 'state')));
  for (const [index, build] of builds.entries()) {
    const [body, state] = fields(heads[index]);
    if (body === undefined) continue;
    const head = decodeRow({ class: 'build', key: build, body });
    yield state === undefined ? [head] : [head, decodeRow({ class: 'build-state', key: build, body: state })];
    if (head.kind === 'build') yield* stepsOf(ask, keys.rows(build), head.build, signal);
  }
}

async function* stepsOf(
  ask: Ask,
  key: string,
  { id, stepNames }: BuildRecord,
  signal: AbortSignal,
): AsyncGenerator<readonly LedgerRecord[]> {
  for (let from = 0; from < stepNames.length; from += PAGE_STEPS) {
    const page = stepNames.slice(from, from + PAGE_STEPS);
    const wanted = [...page.map((name) => ['step-spec', name] as const), ...page.map((name) => ['step', name] as const)];
    const [answer] = await ask(signal, command('HMGET', key, ...wanted.map(([rowClass, name]) => fieldOf(rowClass, name))));
    const bodies = fields(answer);
    const rows = wanted.flatMap(([rowClass, name], index): StoredRow[] => {
      const body = bodies[index];
      return body === undefined ? [] : [{ class: rowClass, key: stepIdOf(id, name), body }];
    });
    if (rows.length > 0) yield rows.map(decodeRow);
  }
}

/** A build's rows as of one moment, in one call whatever its size. */
async function wholeOf(ask: Ask, key: string, build: string, signal: AbortSignal): Promise<readonly LedgerRecord[]> {
  const [answer] = await ask(signal, command('HGETALL', key));
  const pairs = texts(answer);
  const bodies = new Map<string, string>();
  for (let index = 0; index + 1 < pairs.length; index += 2) bodies.set(pairs[index] ?? '', pairs[index + 1] ?? '');
  const body = bodies.get('build');
  if (body === undefined) return [];
  const head = decodeRow({ class: 'build', key: build, body });
  const records = [head];
  const state = bodies.get('state');
  if (state !== undefined) records.push(decodeRow({ class: 'build-state', key: build, body: state }));
  if (head.kind !== 'build') return records;
  const { id, stepNames } = head.build;
  for (const rowClass of ['step-spec', 'step'] as const) {
    for (const name of stepNames) {
      const row = bodies.get(fieldOf(rowClass, name));
      if (row !== undefined) records.push(decodeRow({ class: rowClass, key: stepIdOf(id, name), body: row }));
    }
  }
  return records;
}

/** All rows of a hash by key; a hash that grows while it is read may show a key twice. */
async function tableOf(
  ask: Ask,
  rowClass: 'session' | 'hold' | 'topology',
  key: string,
  signal: AbortSignal,
): Promise<readonly LedgerRecord[]> {
  const rows = new Map<string, string>();
  for (let cursor = '0'; ;) {
    const [answer] = await ask(signal, command('HSCAN', key, cursor, 'COUNT', PAGE_FIELDS));
    if (!Array.isArray(answer)) throw strange(answer);
    const pairs = texts(answer[1]);
    for (let index = 0; index + 1 < pairs.length; index += 2) rows.set(pairs[index] ?? '', pairs[index + 1] ?? '');
    cursor = String(answer[0]);
    if (cursor === '0') break;
  }
  const sorted = [...rows].toSorted(([left], [right]) => (left < right ? -1 : 1));
  return sorted.map(([name, body]) => decodeRow({ class: rowClass, key: name, body }));
}

type EventRange = { readonly build: BuildId; readonly afterSeq: number; readonly limit: number };

async function eventsOf(
  ask: Ask,
  key: string,
  { build, afterSeq, limit }: EventRange,
  signal: AbortSignal,
): Promise<readonly BuildEvent[]> {
  const events: BuildEvent[] = [];
  for (let after = afterSeq; events.length < limit;) {
    const count = Math.min(PAGE_EVENTS, limit - events.length);
    const [page] = await ask(signal, command('XRANGE', key, String(after + 1), '+', 'COUNT', count));
    if (!Array.isArray(page)) throw strange(page);
    // The first entry may begin with events that were read already.
    for (const entry of page) events.push(...eventsOfEntry(build, entry).filter(({ seq }) => seq > after));
    if (page.length < count) break;
    after = events.at(-1)?.seq ?? after;
  }
  return events.slice(0, limit);
}

/** A command as a call. */
export function command(name: string, ...args: readonly Arg[]): Call {
  return { kind: 'command', name, args };
}

/** An entry's number is that of its last event; the others come right before it. */
function eventsOfEntry(build: BuildId, entry: unknown): readonly BuildEvent[] {
  if (!Array.isArray(entry) || !Array.isArray(entry[1])) throw strange(entry);
  const bodies = texts(entry[1]).filter((_, index) => index % 2 === 1);
  const first = Number.parseInt(String(entry[0]), 10) - bodies.length + 1;
  return bodies.map((body, index) => decodeEvent(build, first + index, body));
}

/** A log's hash, as a list of names and values. */
function logOf(answer: unknown): StoredLog | undefined {
  if (!Array.isArray(answer)) throw strange(answer);
  const segments: StoredLog['segments'][number][] = [];
  const chunks: StoredLog['chunks'][number][] = [];
  const whole = new Map<string, string>();
  for (let index = 0; index + 1 < answer.length; index += 2) {
    const name = String(answer[index]);
    const value: unknown = answer[index + 1];
    if (!(value instanceof Uint8Array)) throw strange(value);
    const offset = Number(name.slice(1));
    if (name.startsWith('c')) chunks.push({ offset, bytes: new Uint8Array(value) });
    else if (/^s[0-9]/.test(name)) segments.push({ offset, digest: digestFrom(value.toString()) });
    else whole.set(name, value.toString());
  }
  const hash = whole.get('sealed');
  const [size, truncated] = (whole.get('size') ?? '').split(' ');
  const sealed = hash === undefined ? undefined : { digest: digestFrom(`${hash}-${size}`), truncated: truncated === '1' };
  if (answer.length === 0) return undefined;
  const byOffset = (left: { readonly offset: number }, right: { readonly offset: number }) => left.offset - right.offset;
  return { segments: segments.toSorted(byOffset), chunks: chunks.toSorted(byOffset), sealed };
}

function digestFrom(text: string) {
  const digest = parseDigest(text);
  if (digest === undefined) throw new Fault('LEDGER_UNAVAILABLE', `The ledger holds a damaged digest: ${text}`);
  return digest;
}

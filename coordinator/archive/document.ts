import { Fault } from '../../base/fault.ts';
import { compressZstd, decompressZstd } from '../../cache/zstd.ts';
import { parseDigest, type Digest } from '../../cache/digest.ts';
import type { SealedLog } from '../../cache/action/result.ts';
import type { BuildId, LeaseToken } from '../core/ids.ts';
import type { BuildEvent, LedgerRecord } from '../core/record.ts';
import { decodeEvent, decodeRow, encodeRecord, ROW_CLASSES, type RowClass } from '../ledger/codec.ts';

/** All that the ledger held of a build that has ended. */
export type ArchivedBuild = {
  readonly id: BuildId;
  /** Of the ledger that it was in: its cursors are of that. */
  readonly incarnation: string;
  /** The newest record of each key, the build's own first. */
  readonly records: readonly LedgerRecord[];
  /** Every event, from the first on. */
  readonly events: readonly BuildEvent[];
  /** The whole logs of its attempts, as blobs of the same project. */
  readonly logs: ReadonlyMap<LeaseToken, SealedLog>;
};

/** The form that documents are written in. Older ones are read for ever. */
const FORM = 1;
/** Text that becomes one compressed frame. */
const FRAME_CHARS = 512 * 1024;

/**
 * A build as bytes: zstd frames of lines of JSON. The first line is `{form, build, incarnation, records, events, logs}` with counts, so
 * that a short document is noticed; then come `[class, key, body]` for each record, `[seq, body]` for each event and
 * `[token, digest, truncated]` for each log, bodies in the ledger's own versioned form.
 */
export async function encodeBuild(build: ArchivedBuild): Promise<readonly Uint8Array[]> {
  const frames: Uint8Array[] = [];
  for await (const frame of compressZstd(chunksOf(linesOf(build)))) frames.push(frame);
  return frames;
}

/** @throws {Fault} WRONG_STATE where a newer version wrote it, BLOB_CORRUPT where it is no such document. */
export async function decodeBuild(bytes: Uint8Array): Promise<ArchivedBuild> {
  try {
    return build(await linesIn(bytes));
  } catch (error) {
    if (error instanceof Fault && error.code === 'WRONG_STATE') throw error;
    throw new Fault('BLOB_CORRUPT', 'The archived build cannot be read', { cause: error });
  }
}

function* linesOf({ id, incarnation, records, events, logs }: ArchivedBuild): Generator<string> {
  yield JSON.stringify({ form: FORM, build: id, incarnation, records: records.length, events: events.length, logs: logs.size });
  for (const record of records) {
    const row = encodeRecord(record);
    if (row.kind === 'put') yield JSON.stringify([row.class, row.key, row.body]);
  }
  for (const event of events) {
    const row = encodeRecord({ kind: 'event', build: id, event });
    if (row.kind === 'event') yield JSON.stringify([row.seq, row.body]);
  }
  for (const [token, { digest, truncated }] of logs) yield JSON.stringify([token, digest, truncated]);
}

async function* chunksOf(lines: Iterable<string>): AsyncGenerator<Uint8Array> {
  let text = '';
  for (const line of lines) {
    text += `${line}\n`;
    if (text.length < FRAME_CHARS) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

async function linesIn(bytes: Uint8Array): Promise<readonly unknown[]> {
  const source = async function* source() {
    yield bytes;
  };
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const lines: unknown[] = [];
  let rest = '';
  for await (const chunk of decompressZstd(source())) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) lines.push(JSON.parse(part));
  }
  if (rest !== '') throw new SyntaxError('the last line has no end');
  return lines;
}

function build([first, ...lines]: readonly unknown[]): ArchivedBuild {
  const header = headerOf(first);
  if (lines.length !== header.records + header.events + header.logs) throw new SyntaxError(`${lines.length} lines are not all`);
  const eventsFrom = header.records;
  const logsFrom = eventsFrom + header.events;
  const records = lines.slice(0, eventsFrom).map((line) => {
    const [rowClass, key, body] = tuple(line, ['string', 'string', 'string']);
    return decodeRow({ class: classOf(rowClass), key, body });
  });
  const events = lines.slice(eventsFrom, logsFrom).map((line) => {
    const [seq, body] = tuple(line, ['number', 'string']);
    return decodeEvent(header.build, seq, body);
  });
  const logs = lines.slice(logsFrom).map((line) => {
    const [token, digest, truncated] = tuple(line, ['string', 'string', 'boolean']);
    return [token as LeaseToken, { digest: digestIn(digest), truncated }] as const; // a token, as `linesOf` wrote it
  });
  return { id: header.build, incarnation: header.incarnation, records, events, logs: new Map(logs) };
}

type Header = {
  readonly build: BuildId;
  readonly incarnation: string;
  readonly records: number;
  readonly events: number;
  readonly logs: number;
};

function headerOf(line: unknown): Header {
  if (typeof line !== 'object' || line === null || !('form' in line)) throw new SyntaxError('the first line is not a header');
  if (typeof line.form === 'number' && line.form > FORM) {
    throw new Fault('WRONG_STATE', `The build was archived by a newer Switchyard (form ${line.form}, this one reads ${FORM})`);
  }
  const { build: id, incarnation, records, events, logs } = { build: '', incarnation: '', records: '', events: '', logs: '', ...line };
  if (typeof id !== 'string' || typeof incarnation !== 'string') throw new SyntaxError('the header names no build');
  if (typeof records !== 'number' || typeof events !== 'number' || typeof logs !== 'number') {
    throw new SyntaxError('the header lacks a count');
  }
  return { build: id as BuildId, incarnation, records, events, logs }; // an id, as `linesOf` wrote it
}

type Named = { readonly string: string; readonly number: number; readonly boolean: boolean };

function tuple<const T extends readonly (keyof Named)[]>(line: unknown, kinds: T): { [K in keyof T]: Named[T[K]] } {
  if (!Array.isArray(line) || line.length !== kinds.length || kinds.some((kind, index) => typeof line[index] !== kind)) {
    throw new SyntaxError(`a line is not of ${kinds.join(', ')}`);
  }
  return line as unknown as { [K in keyof T]: Named[T[K]] }; // length and types of its members were checked
}

function classOf(text: string): RowClass {
  const found = ROW_CLASSES.find((candidate) => candidate === text);
  if (found === undefined) throw new SyntaxError(`no class ${text} of records is known`);
  return found;
}

function digestIn(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === undefined) throw new SyntaxError(`${text} is no digest`);
  return digest;
}

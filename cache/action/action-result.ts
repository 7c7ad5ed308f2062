import { Fault } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import { compareNames } from '../tree/directory.ts';
import { WireReader, WireWriter } from '../wire/wire.ts';
import { readDigest, writeDigest } from '../wire/digest.ts';
import { readTexts, writeTexts } from '../wire/texts.ts';
import { readTime, writeTime } from '../wire/time.ts';
import { NO_USAGE, type OutputEntry, type StepResult, type Usage } from './result.ts';

/** Type of the metadata that holds what an ActionResult has no field for; `proto/switchyard/v1/cache.proto` defines it. */
const DETAIL_TYPE = 'type.googleapis.com/switchyard.v1.ResultDetail';

const SYMLINK_TEXTS = ['path', 'target'] as const;
const US_PER_MS = 1_000;

/**
 * The bytes of a result as a REAPI ActionResult: the log is its standard output where its streams are not apart. `decodeStepResult`
 * gives back an equal one, its outputs sorted by path.
 */
export function encodeStepResult(result: StepResult): Uint8Array {
  const writer = new WireWriter(1024);
  for (const output of result.outputs) {
    if (output.kind === 'file') writer.message(2, (file) => writeFile(file, output));
  }
  for (const output of result.outputs) {
    if (output.kind === 'directory') writer.message(3, (directory) => writeDirectory(directory, output));
  }
  writer.signed(4, result.exitCode);
  const { log, streams } = result;
  const stdout = streams === undefined ? log?.digest : streams.stdout;
  if (stdout !== undefined) writeDigest(writer, 6, stdout);
  if (streams !== undefined) writeDigest(writer, 8, streams.stderr);
  writer.message(9, (metadata) => writeMetadata(metadata, result));
  for (const output of result.outputs) {
    if (output.kind === 'symlink') writer.message(12, (link) => writeTexts(link, SYMLINK_TEXTS, output));
  }
  return writer.finish();
}

function writeFile(writer: WireWriter, output: OutputEntry & { kind: 'file' }): void {
  writer.string(1, output.path);
  writeDigest(writer, 2, output.digest);
  writer.varint(4, output.executable ? 1 : 0);
}

function writeDirectory(writer: WireWriter, output: OutputEntry & { kind: 'directory' }): void {
  writer.string(1, output.path);
  writeDigest(writer, 3, output.tree);
  writer.varint(4, 1); // our trees have parents first
  writeDigest(writer, 5, output.root);
}

function writeMetadata(writer: WireWriter, result: StepResult): void {
  const { startedAt, endedAt, usage } = result;
  const begunAt = startedAt - usage.prepareMs;
  const storedAt = endedAt + usage.uploadMs;
  writer.string(1, result.agent);
  // Clients subtract these from each other: all are there, in the agent's time. When it was queued only the coordinator could tell.
  const times = [begunAt, begunAt, storedAt, begunAt, startedAt, startedAt, endedAt, endedAt, storedAt];
  for (const [index, atMs] of times.entries()) writeTime(writer, index + 2, microsOf(atMs));
  writer.message(11, (any) => {
    any.string(1, DETAIL_TYPE);
    const detail = new WireWriter();
    detail.message(1, (usage) => writeUsage(usage, result.usage));
    detail.varint(2, result.log?.truncated === true ? 1 : 0);
    detail.packed(
      3,
      result.outputs.filter((output) => output.kind === 'directory').map((output) => output.bytes),
    );
    if (result.streams !== undefined && result.log !== undefined) writeDigest(detail, 4, result.log.digest);
    any.bytes(2, detail.finish());
  });
  writeTime(writer, 12, microsOf(endedAt - startedAt)); // a Duration has the same form
}

/** The fields of Usage by their numbers, from 1. */
const USAGE_FIELDS = [
  'cpuMs',
  'peakMemoryBytes',
  'bytesIn',
  'bytesOut',
  'prepareMs',
  'runMs',
  'uploadMs',
] as const satisfies readonly (keyof Usage)[];

function writeUsage(writer: WireWriter, usage: Usage): void {
  for (const [index, field] of USAGE_FIELDS.entries()) writer.varint(index + 1, Math.round(usage[field]));
}

function microsOf(ms: number): number {
  return Math.max(0, Math.round(ms)) * US_PER_MS;
}

/**
 * The result that `encodeStepResult` made into these bytes.
 * @throws {Fault} BAD_REQUEST where they are no ActionResult, or one that was not made by it.
 */
export function decodeStepResult(bytes: Uint8Array): StepResult {
  const outputs: OutputEntry[] = [];
  let exitCode = 0;
  let stdout: Digest | undefined;
  let stderr: Digest | undefined;
  let metadata: Metadata = { agent: '', startedAt: 0, endedAt: 0, detail: NO_DETAIL };
  const reader = new WireReader(bytes, 'ActionResult');
  while (reader.next()) {
    if (reader.field === 2) outputs.push(readFile(reader.bytes()));
    else if (reader.field === 3) outputs.push(readDirectory(reader.bytes()));
    else if (reader.field === 4) exitCode = reader.signed();
    else if (reader.field === 6) stdout = readDigest(reader.bytes(), 'stdout_digest');
    else if (reader.field === 8) stderr = readDigest(reader.bytes(), 'stderr_digest');
    else if (reader.field === 9) metadata = readMetadata(reader.bytes());
    else if (reader.field === 12) outputs.push({ kind: 'symlink', ...readTexts(reader.bytes(), 'ActionResult', SYMLINK_TEXTS) });
  }
  const { agent, startedAt, endedAt, detail } = metadata;
  const streams = detail.log === undefined || stderr === undefined ? undefined : { ...(stdout === undefined ? {} : { stdout }), stderr };
  const log = streams === undefined ? stdout : detail.log;
  let directory = 0;
  const sized = outputs.map((output) =>
    output.kind === 'directory' ? { ...output, bytes: detail.directoryBytes[directory++] ?? 0 } : output,
  );
  return {
    exitCode,
    outputs: sized.toSorted((a, b) => compareNames(a.path, b.path)),
    log: log === undefined ? undefined : { digest: log, truncated: detail.truncated },
    ...(streams === undefined ? {} : { streams }),
    usage: detail.usage,
    agent,
    startedAt,
    endedAt,
  };
}

function readFile(bytes: Uint8Array): OutputEntry {
  const { path, digest, flag } = readOutput(bytes, 2);
  return { kind: 'file', path, digest, executable: flag };
}

function readDirectory(bytes: Uint8Array): OutputEntry {
  const { path, digest, root } = readOutput(bytes, 3);
  if (root === undefined) throw new Fault('BAD_REQUEST', `Output directory "${path}": its root_directory_digest is missing`);
  return { kind: 'directory', path, tree: digest, root, bytes: 0 };
}

function readOutput(bytes: Uint8Array, digestField: number): { path: string; digest: Digest; flag: boolean; root: Digest | undefined } {
  let path = '';
  let digest: Digest | undefined;
  let root: Digest | undefined;
  let flag = false;
  const reader = new WireReader(bytes, 'ActionResult');
  while (reader.next()) {
    if (reader.field === 1) path = reader.string();
    else if (reader.field === digestField) digest = readDigest(reader.bytes(), `Output "${path}"`);
    else if (reader.field === 4) flag = reader.varint() !== 0;
    else if (reader.field === 5 && digestField === 3) root = readDigest(reader.bytes(), `Output "${path}"`);
  }
  if (digest === undefined) throw new Fault('BAD_REQUEST', `Output "${path}": its digest is missing`);
  return { path, digest, flag, root };
}

/** The whole log that ExecutedActionMetadata names beside its parts in the ActionResult itself. */
export function logBeside(metadata: Uint8Array): Digest | undefined {
  return readMetadata(metadata).detail.log;
}

type Detail = {
  readonly usage: Usage;
  readonly truncated: boolean;
  readonly directoryBytes: readonly number[];
  readonly log?: Digest | undefined;
};
type Metadata = { readonly agent: string; readonly startedAt: number; readonly endedAt: number; readonly detail: Detail };

const NO_DETAIL: Detail = { usage: NO_USAGE, truncated: false, directoryBytes: [] };

function readMetadata(bytes: Uint8Array): Metadata {
  let agent = '';
  let startedAt = 0;
  let endedAt = 0;
  let detail = NO_DETAIL;
  const reader = new WireReader(bytes, 'ExecutedActionMetadata');
  while (reader.next()) {
    if (reader.field === 1) agent = reader.string();
    else if (reader.field === 7) startedAt = readMs(reader.bytes());
    else if (reader.field === 8) endedAt = readMs(reader.bytes());
    else if (reader.field === 11) detail = readDetail(reader.bytes()) ?? detail;
  }
  return { agent, startedAt, endedAt, detail };
}

function readMs(time: Uint8Array): number {
  return Math.floor(readTime(time) / US_PER_MS);
}

function readDetail(bytes: Uint8Array): Detail | undefined {
  let type = '';
  let value: Uint8Array = new Uint8Array(0);
  const any = new WireReader(bytes, 'Any');
  while (any.next()) {
    if (any.field === 1) type = any.string();
    else if (any.field === 2) value = any.bytes();
  }
  if (type !== DETAIL_TYPE) return undefined;
  let usage = NO_USAGE;
  let truncated = false;
  let log: Digest | undefined;
  const directoryBytes: number[] = [];
  const reader = new WireReader(value, 'ResultDetail');
  while (reader.next()) {
    if (reader.field === 1) usage = readUsage(reader.bytes());
    else if (reader.field === 2) truncated = reader.varint() !== 0;
    else if (reader.field === 3) directoryBytes.push(...reader.packed());
    else if (reader.field === 4) log = readDigest(reader.bytes(), 'ResultDetail.log');
  }
  return { usage, truncated, directoryBytes, log };
}

function readUsage(bytes: Uint8Array): Usage {
  const usage = { ...NO_USAGE };
  const reader = new WireReader(bytes, 'Usage');
  while (reader.next()) {
    const field = USAGE_FIELDS[reader.field - 1];
    if (field !== undefined) usage[field] = reader.varint();
  }
  return usage;
}

import type { FailureClass } from '../base/failure.ts';
import { Fault } from '../base/fault.ts';
import type { Resources } from '../base/resources.ts';
import type { SandboxTrait } from '../base/sandbox-trait.ts';
import type { Zone } from '../base/zone.ts';
import type { AttemptReport, DependencyReport, DirectoryOutput, OutputEntry, Restore, StepResult, Usage } from '../cache/action/result.ts';
import { digestFrom, hashOf, sizeOf, type Digest } from '../cache/digest.ts';
import type { AttemptReport__Output, AttemptReport as AttemptReportMessage } from './gen/switchyard/v1/AttemptReport.ts';
import type { DependencyReport__Output, DependencyReport as DependencyReportMessage } from './gen/switchyard/v1/DependencyReport.ts';
import type { FailureClass__Output } from './gen/switchyard/v1/FailureClass.ts';
import type { OutputEntry__Output, OutputEntry as OutputEntryMessage } from './gen/switchyard/v1/OutputEntry.ts';
import type { Resources__Output, Resources as ResourcesMessage } from './gen/switchyard/v1/Resources.ts';
import type { Restore__Output, Restore as RestoreMessage } from './gen/switchyard/v1/Restore.ts';
import type { SandboxTrait__Output } from './gen/switchyard/v1/SandboxTrait.ts';
import type { StepResult__Output, StepResult as StepResultMessage } from './gen/switchyard/v1/StepResult.ts';
import type { Usage__Output, Usage as UsageMessage } from './gen/switchyard/v1/Usage.ts';
import type { Zone__Output } from './gen/switchyard/v1/Zone.ts';

/*
 * Pairs between the values of types.proto and ours. `xFromProto(message, field)` throws BAD_REQUEST (or PATH_ESCAPES)
 * naming `field`, the message's place in what the peer sent; `xToProto` never throws.
 */

/** A message that the peer left out. */
type Absent = null | undefined;

type DigestMessage = { readonly hash: string; readonly sizeBytes: string };

/** A digest that must be there; serves Switchyard's Digest and the Remote Execution API's. */
export function digestFromProto(message: DigestMessage | Absent, field: string): Digest {
  if (message === null || message === undefined) throw bad(field, 'is missing: name a blob by hash and size');
  const digest = digestFrom(message.hash, countFromProto(message.sizeBytes, `${field}.size_bytes`));
  if (digest !== undefined) return digest;
  throw bad(
    field,
    `is no digest: got hash "${message.hash.slice(0, 80)}" and size ${message.sizeBytes}, want 64 lower-case hex digits (SHA-256)`,
  );
}

/** As `digestFromProto`; undefined where there is none. */
export function optionalDigestFromProto(message: DigestMessage | Absent, field: string): Digest | undefined {
  return message === null || message === undefined ? undefined : digestFromProto(message, field);
}

export function digestToProto(digest: Digest): { hash: string; sizeBytes: string } {
  return { hash: hashOf(digest), sizeBytes: String(sizeOf(digest)) };
}

/** An int64 or int32 that counts something: whole, at least 0, at most 2^53 - 1. */
export function countFromProto(value: string | number, field: string): number {
  const count = Number(value);
  if (!Number.isSafeInteger(count) || count < 0)
    throw bad(field, `must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, got ${value}`);
  return count;
}

/** What is stated, without defaults: what an agent has. Absent means nothing at all. */
export function resourcesFromProto(message: Resources__Output | Absent, field: string): Resources {
  const custom = Object.entries(message?.custom ?? {}).map(
    ([name, count]) => [name, countFromProto(count, `${field}.custom["${name}"]`)] as const,
  );
  return {
    cpuMillis: countFromProto(message?.cpuMillis ?? 0, `${field}.cpu_millis`),
    memoryBytes: countFromProto(message?.memoryBytes ?? 0, `${field}.memory_bytes`),
    slots: countFromProto(message?.slots ?? 0, `${field}.slots`),
    custom: Object.fromEntries(custom),
  };
}

/** What a step asks for: as `resourcesFromProto`, but it takes one slot where it says none. */
export function demandFromProto(message: Resources__Output | Absent, field: string): Resources {
  const stated = resourcesFromProto(message, field);
  return stated.slots === 0 ? { ...stated, slots: 1 } : stated;
}

export function resourcesToProto(resources: Resources): ResourcesMessage {
  const custom = Object.entries(resources.custom).map(([name, count]) => [name, String(count)] as const);
  return {
    cpuMillis: String(resources.cpuMillis),
    memoryBytes: String(resources.memoryBytes),
    slots: resources.slots,
    custom: Object.fromEntries(custom),
  };
}

const ZONES_BY_NAME = { ZONE_UNTRUSTED: 'untrusted', ZONE_TRUSTED: 'trusted', ZONE_PRODUCTION: 'production' } as const satisfies Record<
  Exclude<Zone__Output, 'ZONE_UNSPECIFIED'>,
  Zone
>;

/** The zone, `fallback` where it is unspecified. */
export function zoneFromProto(value: Zone__Output | number, field: string, fallback?: Zone): Zone {
  const zone = named(ZONES_BY_NAME, value) ?? (isUnspecified(value, 'ZONE_UNSPECIFIED') ? fallback : undefined);
  if (zone === undefined) throw bad(field, 'must be ZONE_UNTRUSTED, ZONE_TRUSTED or ZONE_PRODUCTION');
  return zone;
}

export function zoneToProto(zone: Zone): keyof typeof ZONES_BY_NAME {
  return nameFor(ZONES_BY_NAME, zone);
}

const CLASSES_BY_NAME = {
  FAILURE_CLASS_EXIT: 'exit',
  FAILURE_CLASS_TIMEOUT: 'timeout',
  FAILURE_CLASS_OUTPUT: 'output',
  FAILURE_CLASS_OOM: 'oom',
  FAILURE_CLASS_AGENT_LOST: 'agent-lost',
  FAILURE_CLASS_AGENT_STOP: 'agent-stop',
  FAILURE_CLASS_SANDBOX_ERROR: 'sandbox-error',
  FAILURE_CLASS_CACHE_ERROR: 'cache-error',
  FAILURE_CLASS_CANCELLED: 'cancelled',
} as const satisfies Record<Exclude<FailureClass__Output, 'FAILURE_CLASS_UNSPECIFIED'>, FailureClass>;

/** The class, or undefined for UNSPECIFIED, which stands for success. */
export function failureClassFromProto(value: FailureClass__Output | number, field: string): FailureClass | undefined {
  if (isUnspecified(value, 'FAILURE_CLASS_UNSPECIFIED')) return undefined;
  const known = named(CLASSES_BY_NAME, value);
  if (known === undefined) throw bad(field, `must be a FailureClass: ${Object.keys(CLASSES_BY_NAME).join(', ')}`);
  return known;
}

export function failureClassToProto(value: FailureClass | undefined): FailureClass__Output {
  return value === undefined ? 'FAILURE_CLASS_UNSPECIFIED' : nameFor(CLASSES_BY_NAME, value);
}

const TRAITS_BY_NAME = {
  SANDBOX_TRAIT_ISOLATES_FILES: 'isolatesFiles',
  SANDBOX_TRAIT_ISOLATES_NETWORK: 'isolatesNetwork',
  SANDBOX_TRAIT_ISOLATES_PROCESSES: 'isolatesProcesses',
  SANDBOX_TRAIT_ISOLATES_HOST: 'isolatesHost',
  SANDBOX_TRAIT_LIMITS_MEMORY: 'limitsMemory',
  SANDBOX_TRAIT_LIMITS_PIDS: 'limitsPids',
} as const satisfies Record<Exclude<SandboxTrait__Output, 'SANDBOX_TRAIT_UNSPECIFIED'>, SandboxTrait>;

export function sandboxTraitFromProto(value: SandboxTrait__Output | number, field: string): SandboxTrait {
  const trait = named(TRAITS_BY_NAME, value);
  if (trait === undefined) throw bad(field, `must be a SandboxTrait: ${Object.keys(TRAITS_BY_NAME).join(', ')}`);
  return trait;
}

/** A list of traits, without repeats. */
export function sandboxTraitsFromProto(values: readonly (SandboxTrait__Output | number)[], field: string): readonly SandboxTrait[] {
  return [...new Set(values.map((value, index) => sandboxTraitFromProto(value, `${field}[${index}]`)))];
}

export function sandboxTraitToProto(trait: SandboxTrait): keyof typeof TRAITS_BY_NAME {
  return nameFor(TRAITS_BY_NAME, trait);
}

const USAGE_FIELDS = {
  cpuMs: 'cpu_ms',
  peakMemoryBytes: 'peak_memory_bytes',
  bytesIn: 'bytes_in',
  bytesOut: 'bytes_out',
  prepareMs: 'prepare_ms',
  runMs: 'run_ms',
  uploadMs: 'upload_ms',
} as const satisfies Record<keyof Usage, string>;

export function usageFromProto(message: Usage__Output | Absent, field: string): Usage {
  const read = (key: keyof Usage) => countFromProto(message?.[key] ?? 0, `${field}.${USAGE_FIELDS[key]}`);
  return {
    cpuMs: read('cpuMs'),
    peakMemoryBytes: read('peakMemoryBytes'),
    bytesIn: read('bytesIn'),
    bytesOut: read('bytesOut'),
    prepareMs: read('prepareMs'),
    runMs: read('runMs'),
    uploadMs: read('uploadMs'),
  };
}

/** Fractions of milliseconds are rounded: the wire carries whole ones. */
export function usageToProto(usage: Usage): UsageMessage {
  const write = (key: keyof Usage) => String(Math.round(usage[key]));
  return {
    cpuMs: write('cpuMs'),
    peakMemoryBytes: write('peakMemoryBytes'),
    bytesIn: write('bytesIn'),
    bytesOut: write('bytesOut'),
    prepareMs: write('prepareMs'),
    runMs: write('runMs'),
    uploadMs: write('uploadMs'),
  };
}

/**
 * An output as its step named it: `.`, or a plain path from the working directory on, which may begin with `..`. Whether that is within
 * the input root is for those to see who know the working directory. @throws {Fault} PATH_ESCAPES for any other path
 */
export function outputFromProto(message: OutputEntry__Output, field: string): OutputEntry {
  const path = message.path === '.' ? '.' : upPath(message.path, `${field}.path`);
  if (message.file)
    return {
      kind: 'file',
      path,
      digest: digestFromProto(message.file.digest, `${field}.file.digest`),
      executable: message.file.executable,
    };
  if (message.directory) {
    const tree = digestFromProto(message.directory.tree, `${field}.directory.tree`);
    const root = digestFromProto(message.directory.root, `${field}.directory.root`);
    return { kind: 'directory', path, tree, root, bytes: countFromProto(message.directory.bytes, `${field}.directory.bytes`) };
  }
  if (message.symlink) {
    const { target } = message.symlink;
    if (target === '' || target.includes('\0')) throw bad(`${field}.symlink.target`, 'must be a path');
    return { kind: 'symlink', path, target };
  }
  throw bad(field, 'must be a file, a directory or a symlink');
}

export function outputToProto(entry: OutputEntry): OutputEntryMessage {
  switch (entry.kind) {
    case 'file':
      return { path: entry.path, file: { digest: digestToProto(entry.digest), executable: entry.executable } };
    case 'directory':
      return {
        path: entry.path,
        directory: { tree: digestToProto(entry.tree), root: digestToProto(entry.root), bytes: String(entry.bytes) },
      };
    case 'symlink':
      return { path: entry.path, symlink: { target: entry.target } };
  }
}

export function stepResultFromProto(message: StepResult__Output | Absent, field: string): StepResult {
  if (message === null || message === undefined) throw bad(field, 'is missing');
  const log = optionalDigestFromProto(message.log, `${field}.log`);
  const stdout = optionalDigestFromProto(message.stdout, `${field}.stdout`);
  const stderr = optionalDigestFromProto(message.stderr, `${field}.stderr`);
  return {
    exitCode: message.exitCode,
    outputs: message.outputs.map((entry, index) => outputFromProto(entry, `${field}.outputs[${index}]`)),
    log: log === undefined ? undefined : { digest: log, truncated: message.logTruncated },
    ...(log === undefined || stderr === undefined ? {} : { streams: { ...(stdout === undefined ? {} : { stdout }), stderr } }),
    usage: usageFromProto(message.usage, `${field}.usage`),
    agent: message.agent,
    startedAt: countFromProto(message.startedAtMs, `${field}.started_at_ms`),
    endedAt: countFromProto(message.endedAtMs, `${field}.ended_at_ms`),
  };
}

export function stepResultToProto(result: StepResult): StepResultMessage {
  return {
    exitCode: result.exitCode,
    outputs: result.outputs.map(outputToProto),
    ...(result.log === undefined ? {} : { log: digestToProto(result.log.digest), logTruncated: result.log.truncated }),
    ...(result.streams?.stdout === undefined ? {} : { stdout: digestToProto(result.streams.stdout) }),
    ...(result.streams === undefined ? {} : { stderr: digestToProto(result.streams.stderr) }),
    usage: usageToProto(result.usage),
    agent: result.agent,
    startedAtMs: String(result.startedAt),
    endedAtMs: String(result.endedAt),
  };
}

export function attemptReportFromProto(message: AttemptReport__Output | Absent, field: string): AttemptReport {
  if (message === null || message === undefined) throw bad(field, 'is missing');
  const failure = failureClassFromProto(message.failureClass, `${field}.failure_class`);
  // Absent from agents that know nothing of dependency caches.
  const said = message.dependencies.length === 0 ? {} : { dependencies: message.dependencies.map(dependencyReportFromProto) };
  if (failure === undefined) {
    const staged = message.staged ? { staged: true } : {};
    return { kind: 'succeeded', result: stepResultFromProto(message.result, `${field}.result`), ...said, ...staged };
  }
  const result = message.result === null ? undefined : stepResultFromProto(message.result, `${field}.result`);
  return { kind: 'failed', class: failure, message: message.message, result, ...said, ...(message.storeAway ? { storeAway: true } : {}) };
}

/** One that cannot be read is as good as none kept: it must not cost the step its result. */
function dependencyReportFromProto(message: DependencyReport__Output, index: number): DependencyReport {
  const { name } = message;
  const restores = message.restores.flatMap(restoreFromProto);
  const placed = {
    ...(message.placeProblem === '' ? {} : { placeProblem: message.placeProblem }),
    ...(restores.length === 0 ? {} : { restores }),
  };
  if (message.save === 'SAVE_DROPPED') return { name, ...placed, save: { kind: 'dropped', problem: message.saveProblem } };
  if (message.save !== 'SAVE_STORED') return { name, ...placed, save: { kind: 'none' } };
  try {
    return { name, ...placed, save: { kind: 'stored', trees: directoriesFromProto(message.stored, `dependencies[${index}].stored`) } };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { name, ...placed, save: { kind: 'dropped', problem: `the agent's report is malformed: ${error.message}` } };
  }
}

const RUNG = /^[a-z-]{1,32}$/;
const RESTORED_PATH_MAX = 4_096;

/** For people: one that cannot be read is left out. */
function restoreFromProto({ path, rung, bytesIn }: Restore__Output): readonly Restore[] {
  const bytes = Number(bytesIn);
  if (!RUNG.test(rung) || path.length > RESTORED_PATH_MAX || !Number.isSafeInteger(bytes) || bytes < 0) return [];
  return [{ path, rung, bytesIn: bytes }];
}

export function restoreToProto({ path, rung, bytesIn }: Restore): RestoreMessage {
  return { path, rung, bytesIn: String(bytesIn) };
}

function dependencyReportToProto({ name, placeProblem, restores = [], save }: DependencyReport): DependencyReportMessage {
  const placed = { name, placeProblem: placeProblem ?? '', restores: restores.map(restoreToProto) };
  switch (save.kind) {
    case 'none':
      return { ...placed, save: 'SAVE_UNSPECIFIED' };
    case 'stored':
      return { ...placed, save: 'SAVE_STORED', stored: save.trees.map(outputToProto) };
    case 'dropped':
      return { ...placed, save: 'SAVE_DROPPED', saveProblem: save.problem };
  }
}

/** Outputs that must be directories. */
export function directoriesFromProto(messages: readonly OutputEntry__Output[], field: string): readonly DirectoryOutput[] {
  return messages.map((message, index) => {
    const output = outputFromProto(message, `${field}[${index}]`);
    if (output.kind !== 'directory') throw bad(`${field}[${index}]`, 'must be a directory');
    relativePath(output.path, `${field}[${index}].path`);
    return output;
  });
}

export function attemptReportToProto(report: AttemptReport): AttemptReportMessage {
  const said = report.dependencies === undefined ? {} : { dependencies: report.dependencies.map(dependencyReportToProto) };
  switch (report.kind) {
    case 'succeeded':
      return {
        failureClass: 'FAILURE_CLASS_UNSPECIFIED',
        result: stepResultToProto(report.result),
        ...said,
        staged: report.staged === true,
      };
    case 'failed':
      return {
        failureClass: failureClassToProto(report.class),
        message: report.message,
        ...(report.result === undefined ? {} : { result: stepResultToProto(report.result) }),
        ...said,
        storeAway: report.storeAway === true,
      };
  }
}

function named<V>(table: Readonly<Record<string, V>>, value: string | number): V | undefined {
  return typeof value === 'string' && Object.hasOwn(table, value) ? table[value] : undefined;
}

function isUnspecified(value: string | number, name: string): boolean {
  return value === name || value === 0;
}

/** The enum's name for `value`. */
function nameFor<K extends string, V>(table: Readonly<Record<K, V>>, value: V): K {
  const found = (Object.keys(table) as K[]).find((name) => table[name] === value); // `Object.keys` of a record with exactly K
  if (found === undefined) throw new Fault('INTERNAL', `No name on the wire for ${String(value)}`);
  return found;
}

function upPath(path: string, field: string): string {
  const [up = ''] = /^(\.\.(\/|$))*/.exec(path) ?? [];
  if (up !== path) relativePath(path.slice(up.length), field);
  else if (path === '' || path.endsWith('/')) relativePath('', field);
  return path;
}

function relativePath(path: string, field: string): string {
  const parts = path.split('/');
  if (path !== '' && !path.includes('\0') && parts.every((part) => part !== '' && part !== '.' && part !== '..')) return path;
  throw new Fault('PATH_ESCAPES', `${field}: "${path.slice(0, 200)}" must be a plain path below the working directory`, { field });
}

function bad(field: string, fix: string): Fault {
  return new Fault('BAD_REQUEST', `${field} ${fix}`, { field });
}

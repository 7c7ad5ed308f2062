import { unreachable } from '../../base/assert.ts';
import type { Env } from '../../base/env.ts';
import type { AttemptReport, OutputEntry, StepResult, Usage } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Sandbox, SandboxExit } from '../sandbox/sandbox.ts';
import type { AttemptListener } from '../session/executor.ts';
import type { Offer } from '../session/message.ts';
import type { Deadline } from '../spawn/deadline.ts';
import type { AttemptLog } from '../spool/attempt-log.ts';
import { collectOutputs } from '../workspace/outputs.ts';
import type { Workspace, Workspaces } from '../workspace/workspace.ts';
import { prepareWorkspace, saveDependencies, unsaved, type Placed } from './dependencies.ts';
import { LogParts, type LogStream } from './log-parts.ts';
import type { LogPipe, LogPipes } from './log-pipe.ts';
import { fullDisk, reportOf, type Stage } from './report.ts';
import { NO_LOG, storeLog } from './store-log.ts';

/** What all attempts of an agent share. */
export type AttemptHost = {
  readonly agent: string;
  readonly sandbox: Sandbox;
  readonly workspaces: Workspaces;
  readonly pipes: LogPipes;
  /** Variables that steps may ask for by `passEnv`. */
  readonly passable: Readonly<Record<string, string | undefined>>;
  /** Something went wrong that may be the host's fault. */
  readonly onTrouble: (error: unknown) => void;
  readonly env: Env;
};

/** One attempt's own things; its caller ends them. */
export type AttemptScope = {
  readonly offer: Offer;
  readonly store: BlobStore;
  /** Whether some of what was stored is on the data plane's disk only. */
  readonly isStaged: () => boolean;
  readonly log: AttemptLog;
  /** Called after every piece of the log. */
  readonly logged: () => void;
  readonly listener: Pick<AttemptListener, 'prepared' | 'running' | 'exited'>;
  /** Resolves when the command may start, with its deadline. */
  readonly go: Promise<Deadline | undefined>;
  /** Aborts with an `AttemptStopped`. */
  readonly signal: AbortSignal;
  /** What is to be tidied away once the report is out. */
  readonly leftovers: AsyncDisposableStack;
};

/** The exit code that stands for "ran too long", as the program `timeout` has it. */
const TIMED_OUT_CODE = 124;

/** The report of an attempt that the watchdog ended at its deadline. */
const NOT_RENEWED: AttemptReport = {
  kind: 'failed',
  class: 'agent-lost',
  message: 'The lease could not be renewed: the agent stood still',
  result: undefined,
};

/** What an attempt has before its command starts. */
type Prepared = {
  readonly workspace: Workspace;
  readonly pipe: LogPipe;
  /** For standard error, where it is to be told apart. */
  readonly errorPipe: LogPipe | undefined;
};

/** How far the attempt came, for a report from any point of it. */
type Progress = {
  /** Of dependency caches, by name. */
  placed: Placed;
  /** Which bytes of the log are which stream's; undefined where nobody asks. */
  readonly parts: LogParts | undefined;
  stage: Stage;
  bytesIn: number;
  begunAt: number;
  startedAt: number;
  exitedAt: number;
  startedWallMs: number;
  endedWallMs: number;
};

/** Carries one attempt out, from its inputs to its stored outputs. Never rejects; nothing of the step runs afterwards. */
export async function carryOut(host: AttemptHost, scope: AttemptScope): Promise<AttemptReport> {
  const { report, placed } = await carried(host, scope);
  if (scope.offer.dependencies.length === 0 || report.dependencies !== undefined) return report;
  return { ...report, dependencies: unsaved(scope.offer, placed) };
}

/** The attempt, and what became of dependency caches that were to be placed. */
async function carried(host: AttemptHost, scope: AttemptScope): Promise<{ readonly report: AttemptReport } & Pick<Progress, 'placed'>> {
  const now = host.env.clock.monotonic();
  const progress: Progress = {
    placed: new Map(),
    parts: scope.offer.streamsApart ? new LogParts() : undefined,
    stage: 'prepare',
    bytesIn: 0,
    begunAt: now,
    startedAt: now,
    exitedAt: now,
    startedWallMs: 0,
    endedWallMs: 0,
  };
  try {
    const prepared = await prepare(host, scope, progress);
    scope.listener.prepared();
    const deadline = await settledOrAborted(scope.go, scope.signal);
    const exit = await runCommand(host, scope, { ...prepared, deadline }, progress);
    if (exit.kind === 'cancelled') throw scope.signal.reason;
    if (exit.kind === 'overdue') {
      host.env.log.warn('attempt-overdue', { token: scope.offer.token });
      return { report: NOT_RENEWED, placed: progress.placed };
    }
    return { report: await store(host, scope, prepared.workspace, exit, progress), placed: progress.placed };
  } catch (error) {
    if (!scope.signal.aborted) {
      host.env.log.warn('attempt-error', { token: scope.offer.token, stage: progress.stage, error });
      host.onTrouble(error);
    }
    return { report: reportOf(error, progress.stage, scope.signal, undefined), placed: progress.placed };
  }
}

async function prepare(host: AttemptHost, scope: AttemptScope, progress: Progress): Promise<Prepared> {
  const { offer, signal, leftovers } = scope;
  const { parts } = progress;
  const open = (stream: LogStream) =>
    host.pipes.open((bytes) => {
      const taken = appended(scope.log, bytes);
      parts?.took(stream, taken);
      scope.logged();
    });
  const [workspace, pipe, errorPipe] = await Promise.allSettled([
    prepareWorkspace(host.workspaces, offer, scope.store, host.env.log, signal),
    open('stdout'),
    parts === undefined ? undefined : open('stderr'),
  ]);
  if (workspace.status === 'fulfilled') leftovers.use(workspace.value.workspace);
  for (const opened of [pipe, errorPipe]) if (opened.status === 'fulfilled') leftovers.use(opened.value);
  if (workspace.status === 'rejected') throw workspace.reason;
  if (pipe.status === 'rejected') throw pipe.reason;
  if (errorPipe.status === 'rejected') throw errorPipe.reason;
  progress.placed = workspace.value.placed;
  progress.bytesIn = workspace.value.workspace.bytesIn;
  return { workspace: workspace.value.workspace, pipe: pipe.value, errorPipe: errorPipe.value };
}

/** Appends to the log, and returns what that took: all of it, or what was left of room for it and the mark of the cut. */
function appended(log: AttemptLog, bytes: Uint8Array): Uint8Array {
  const before = log.size;
  log.append(bytes);
  return log.truncated ? log.read(before, log.size - before) : bytes;
}

/** @throws {AttemptStopped} as soon as `signal` aborts. */
async function settledOrAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function runCommand(
  host: AttemptHost,
  scope: AttemptScope,
  { workspace, pipe, errorPipe, deadline }: Prepared & { readonly deadline: Deadline | undefined },
  progress: Progress,
): Promise<SandboxExit> {
  const { offer, signal, listener } = scope;
  const { clock } = host.env;
  progress.stage = 'run';
  progress.startedAt = clock.monotonic();
  progress.startedWallMs = clock.now();
  listener.running();
  try {
    return await host.sandbox.run(
      {
        command: offer.command,
        env: { ...passed(offer.passEnv, host.passable), ...offer.env },
        root: workspace.root,
        workingDirectory: offer.workingDirectory,
        network: offer.network,
        resources: offer.resources,
        logFd: pipe.writeFd,
        errorFd: errorPipe?.writeFd,
        runTimeoutMs: offer.runTimeoutMs,
        graceMs: offer.graceMs,
        binds: workspace.binds,
        deadline,
      },
      signal,
    );
  } finally {
    await Promise.all([pipe.drained(), errorPipe?.drained()]);
    progress.exitedAt = clock.monotonic();
    progress.endedWallMs = clock.now();
    listener.exited();
  }
}

function passed(names: readonly string[], passable: AttemptHost['passable']): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const name of names) {
    const value = Object.hasOwn(passable, name) ? passable[name] : undefined;
    if (value !== undefined) values[name] = value;
  }
  return values;
}

async function store(
  host: AttemptHost,
  scope: AttemptScope,
  workspace: Workspace,
  exit: SandboxExit,
  progress: Progress,
): Promise<AttemptReport> {
  progress.stage = 'store';
  const verdict = verdictOf(exit, scope.offer);
  const full = verdict?.class === 'exit' ? fullDisk(workspace.root) : undefined;
  if (full !== undefined) throw full;
  const { signal } = scope;
  const [collected, log, saved] = await Promise.allSettled([
    collect(host, scope, workspace, exit, signal),
    storeLog({ log: scope.log, parts: progress.parts, store: scope.store, problems: host.env.log, token: scope.offer.token }, signal),
    verdict === undefined ? save(host, scope, workspace, progress) : undefined,
  ]);
  signal.throwIfAborted();
  const stored = collected.status === 'fulfilled' ? collected.value : NOTHING_STORED;
  const kept = saved.status === 'fulfilled' ? saved.value : undefined;
  const usage = usageOf(host, exit, stored.bytesOut + (kept?.sentBytes ?? 0), progress);
  const result: StepResult = {
    exitCode: exit.kind === 'exited' ? exit.code : TIMED_OUT_CODE,
    outputs: stored.entries,
    ...(log.status === 'fulfilled' ? log.value : NO_LOG),
    usage,
    agent: host.agent,
    startedAt: progress.startedWallMs,
    endedAt: progress.endedWallMs,
  };
  if (verdict !== undefined) return { kind: 'failed', ...verdict, result };
  if (collected.status === 'rejected') {
    host.onTrouble(collected.reason);
    return reportOf(collected.reason, 'store', signal, result);
  }
  const dependencies = kept === undefined ? {} : { dependencies: kept.reports };
  return { kind: 'succeeded', result, ...dependencies, ...(scope.isStaged() ? { staged: true } : {}) };
}

/** What the step leaves for later runs; undefined where it leaves nothing. */
async function save(host: AttemptHost, scope: AttemptScope, workspace: Workspace, { placed }: Progress) {
  const { offer, signal } = scope;
  if (offer.dependencies.length === 0) return undefined;
  return saveDependencies({ offer, workspace, placed, onTrouble: host.onTrouble, log: host.env.log }, signal);
}

const NOTHING_STORED: { readonly entries: readonly OutputEntry[]; readonly bytesOut: number } = { entries: [], bytesOut: 0 };

/** What the step is to blame for by the way its command ended; undefined = nothing. */
function verdictOf(exit: SandboxExit, offer: Offer): { readonly class: 'timeout' | 'oom' | 'exit'; readonly message: string } | undefined {
  switch (exit.kind) {
    case 'timed-out':
      return { class: 'timeout', message: `The command was still running after ${offer.runTimeoutMs / 1000} s` };
    case 'exited':
      if (exit.code === 0) return undefined;
      if (exit.oom) return { class: 'oom', message: `The command took more memory than its ${offer.resources.memoryBytes} bytes` };
      return {
        class: 'exit',
        message: exit.signal === undefined ? `The command ended with code ${exit.code}` : `The command was ended by ${exit.signal}`,
      };
    case 'cancelled':
    case 'overdue':
      return undefined;
    default:
      return unreachable(exit);
  }
}

/** The outputs of a command that ran to its end; those of one that failed are a bonus, without which it still failed. */
async function collect(
  host: AttemptHost,
  scope: AttemptScope,
  workspace: Workspace,
  exit: SandboxExit,
  signal: AbortSignal,
): Promise<{ readonly entries: readonly OutputEntry[]; readonly bytesOut: number }> {
  const { offer } = scope;
  if (exit.kind !== 'exited' || offer.outputs.length === 0) return NOTHING_STORED;
  try {
    return await collectOutputs(workspace.view, offer.workingDirectory, offer.outputs, scope.store, signal);
  } catch (error) {
    if (exit.code === 0 || signal.aborted) throw error;
    host.env.log.warn('outputs-of-failure-lost', { token: offer.token, error });
    return NOTHING_STORED;
  }
}

function usageOf(host: AttemptHost, exit: SandboxExit, bytesOut: number, progress: Progress): Usage {
  const { begunAt, startedAt, exitedAt, bytesIn } = progress;
  return {
    cpuMs: exit.cpuMs,
    peakMemoryBytes: exit.peakMemoryBytes,
    bytesIn,
    bytesOut,
    prepareMs: Math.round(startedAt - begunAt),
    runMs: Math.round(exitedAt - startedAt),
    uploadMs: Math.round(host.env.clock.monotonic() - exitedAt),
  };
}

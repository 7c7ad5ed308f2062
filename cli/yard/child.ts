import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';

/** A process that is kept running. */
export type ChildPlan = {
  readonly name: string;
  /** Arguments after the program, which is the Node that runs us. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directory for relative paths. */
  readonly cwd: string;
  /** Standard error goes there. */
  readonly logFile: string;
  /** SIGTERM, then so long, then SIGTERM again for those that drain, then SIGKILL. */
  readonly stopMs: number;
};

export type ChildEvent =
  /** The line of JSON that a process prints when it is ready. */
  | { readonly kind: 'ready'; readonly name: string; readonly line: ReadonlyMap<string, unknown> }
  | { readonly kind: 'died'; readonly name: string; readonly how: string; readonly restartInMs: number; readonly logFile: string }
  /** It ended in good order by itself, as a drained agent does. */
  | { readonly kind: 'left'; readonly name: string; readonly restartInMs: number }
  | { readonly kind: 'given-up'; readonly name: string; readonly how: string };

export interface SupervisedChild extends AsyncDisposable {
  readonly name: string;
  /** Resolves at the first ready line. @throws {Fault} CONFIG_INVALID where the process ends again and again before it. */
  readonly ready: Promise<ReadonlyMap<string, unknown>>;
  readonly pid: number | undefined;
}

type Context = { readonly clock: Clock; readonly prng: Prng; readonly onEvent: (event: ChildEvent) => void };

const BACKOFF = { initialMs: 200, maxMs: 10_000 };
/** A process that ran this long was well: the next wait is a short one. */
const WELL_MS = 30_000;
/** The wait where it ended by itself in good order: whoever asked for that has not lifted it yet. */
const LEFT_MS = 3_000;
/** Ends before the first ready line, after which it is given up. */
const FAILED_STARTS_MAX = 3;

/** Starts the process and starts it again whenever it ends, until disposed. It ends when we do: its standard input closes. */
export function superviseChild(plan: ChildPlan, context: Context): SupervisedChild {
  return new Child(plan, context);
}

class Child implements SupervisedChild {
  readonly ready: Promise<ReadonlyMap<string, unknown>>;
  readonly #plan: ChildPlan;
  readonly #context: Context;
  readonly #stopping = new AbortController();
  readonly #loop: Promise<void>;
  #process: ChildProcess | undefined;
  #wasReady = false;
  #resolve: (line: ReadonlyMap<string, unknown>) => void = () => {};
  #reject: (error: Fault) => void = () => {};

  constructor(plan: ChildPlan, context: Context) {
    this.#plan = plan;
    this.#context = context;
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.ready.catch(() => {}); // whoever needs it awaits it; an agent's is nobody's business
    this.#loop = this.#run();
  }

  get name(): string {
    return this.#plan.name;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      this.#stopping.abort();
      this.#reject(new Fault('CANCELLED', `${this.name} was stopped`));
    }
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping.signal.aborted;) {
      const startedAt = this.#context.clock.monotonic();
      const how = await this.#once();
      if (this.#stopping.signal.aborted) return;
      if (how === undefined && this.#wasReady) {
        failures = 0;
        this.#context.onEvent({ kind: 'left', name: this.name, restartInMs: LEFT_MS });
        await sleep(LEFT_MS, undefined, { signal: this.#stopping.signal }).catch(() => {});
        continue;
      }
      const end = how ?? 'exit code 0';
      failures = this.#context.clock.monotonic() - startedAt > WELL_MS ? 0 : failures + 1;
      if (!this.#wasReady && failures >= FAILED_STARTS_MAX) {
        this.#context.onEvent({ kind: 'given-up', name: this.name, how: end });
        this.#reject(new Fault('CONFIG_INVALID', `${this.name} does not start: ${end}`, { hint: `Its log is ${this.#plan.logFile}.` }));
        return;
      }
      const restartInMs = Math.max(50, backoffMs(BACKOFF, failures, this.#context.prng));
      this.#context.onEvent({ kind: 'died', name: this.name, how: end, restartInMs, logFile: this.#plan.logFile });
      await sleep(restartInMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
    }
  }

  /** One life of the process; resolves with how it ended, undefined where that was in good order. */
  async #once(): Promise<string | undefined> {
    const { argv, env, cwd, logFile } = this.#plan;
    const log = fs.openSync(logFile, 'a', 0o600);
    const logStart = fs.fstatSync(log).size;
    try {
      // A session of its own: Ctrl-C at the terminal reaches us only, and we stop it in good order.
      const child = spawn(process.execPath, argv, { cwd, env, stdio: ['pipe', 'pipe', log], detached: true });
      this.#process = child;
      child.stdin?.on('error', () => {});
      this.#readReady(child);
      const ended = new Promise<string | undefined>((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
      });
      const stopped = this.#stopOnRequest(child, ended);
      const how = await ended;
      await stopped;
      return how === undefined ? undefined : withLastWords(how, logFile, logStart);
    } finally {
      this.#process = undefined;
      fs.closeSync(log);
    }
  }

  #readReady(child: ChildProcess): void {
    let text = '';
    child.stdout?.setEncoding('utf8');
    child.stdout?.on('data', (chunk: string) => {
      text = (text + chunk).slice(-64 * 1024);
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = readyLine(text.slice(0, end));
        text = text.slice(end + 1);
        if (line === undefined) continue;
        this.#wasReady = true;
        this.#resolve(line);
        this.#context.onEvent({ kind: 'ready', name: this.name, line });
      }
    });
  }

  async #stopOnRequest(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
    const { signal } = this.#stopping;
    const asked = new Promise<'asked'>((resolve) => {
      if (signal.aborted) resolve('asked');
      signal.addEventListener('abort', () => resolve('asked'), { once: true });
    });
    if ((await Promise.race([asked, ended])) !== 'asked') return;
    for (const [sent, waitMs] of [
      ['SIGTERM', this.#plan.stopMs],
      ['SIGTERM', 2_000],
      ['SIGKILL', 0],
    ] as const) {
      child.kill(sent);
      const timer = new AbortController();
      const late = sleep(waitMs, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const);
      const first = await Promise.race([late, ended]);
      timer.abort();
      if (first !== 'late') return;
    }
  }
}

function readyLine(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json !== 'object' || json === null) return undefined;
    const line = new Map<string, unknown>(Object.entries(json));
    return line.get('ready') === true ? line : undefined;
  } catch {
    return undefined;
  }
}

/** What the process wrote last in this life of its errors, which usually says why. */
function withLastWords(how: string, logFile: string, from: number): string {
  try {
    const said = lastWords(fs.readFileSync(logFile).subarray(from).toString('utf8'));
    return said === '' ? how : `${how}: ${said}`;
  } catch {
    return how;
  }
}

/** Levels of our logs from which on something is wrong. */
const LEVEL_WARN = 40;

/**
 * The end of a log for people: the last complaint among our own lines of JSON, or the last lines that are not ours, such as
 * wrong options or a crash. '' where nothing was wrong.
 */
export function lastWords(log: string): string {
  let complaint = '';
  let foreign: string[] = [];
  for (const line of log.trim().split('\n')) {
    const entry = logLine(line);
    if (entry === undefined) foreign.push(line);
    else {
      foreign = [];
      if (Number(entry.get('level')) >= LEVEL_WARN) complaint = complaintOf(entry);
    }
  }
  const last = foreign.slice(-5).join('\n').trim();
  return (last === '' ? complaint : last).slice(-600);
}

function logLine(line: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(line);
    return typeof json === 'object' && json !== null && 'msg' in json ? new Map(Object.entries(json)) : undefined;
  } catch {
    return undefined;
  }
}

function complaintOf(entry: ReadonlyMap<string, unknown>): string {
  const error = entry.get('error') ?? entry.get('err');
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : (error ?? entry.get('reason'));
  return typeof message === 'string' && message !== '' ? message : String(entry.get('msg'));
}

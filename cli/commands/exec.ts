import { createHash, randomUUID } from 'node:crypto';
import path from 'node:path';
import { reasonOf } from '../../base/thrown.ts';
import { fetchOutputs } from '../../cache/tree/fetch.ts';
import { parseCpuMillis, parseDurationMs, parseSizeBytes } from '../../base/quantity.ts';
import { parseSelector } from '../../base/selector.ts';
import type { StepView } from '../build-view.ts';
import { EXIT, UsageError } from '../exit.ts';
import { follow } from '../follow.ts';
import type { Plan, PlannedStep } from '../pipeline/plan.ts';
import { submitRequestOf } from '../rpc/submit-request.ts';
import type { BuildServer } from '../rpc/client.ts';
import { prepareInputs } from '../run/prepare.ts';
import { explainWaiting } from '../run/explain-waiting.ts';
import { reattachText } from '../run/watch-build.ts';
import { serverClockSoon } from '../server-clock.ts';
import { printable } from '../view/format.ts';
import { BuildModel } from '../view/model.ts';
import { atServer, openServer, say, type Session } from '../session.ts';
import { steadyLog } from './logs.ts';
import { openServersData, reportProblems, submitSurely, uploadInputs } from './run.ts';

export type ExecOptions = {
  readonly input: readonly string[];
  readonly fetch: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  readonly passEnv: readonly string[];
  readonly select?: string;
  readonly cpu?: string;
  readonly memory?: string;
  readonly timeout?: string;
  readonly network?: boolean;
  readonly cache?: boolean;
  readonly salt?: string;
};

const STEP = 'exec';
const PATIENCE_MS = 120_000;

/** Runs one command on the current directory's files at an agent: live log, the command's own exit code, outputs brought back. */
export async function execCommand(session: Session, command: readonly string[], options: ExecOptions): Promise<number> {
  const plan = planOf(command, options, path.basename(session.terminal.cwd));
  using server = await openServer(session);
  try {
    const prepared = await prepareInputs(plan, session.terminal.cwd, session.terminal.clock, session.signal);
    if (!reportProblems(session, 'exec', prepared.problems)) return EXIT.usage;
    await uploadInputs(session, server, prepared);
    const { id } = await submitSurely(session, server, submitRequestOf(plan, prepared.inputs, randomUUID()));
    if (session.json) session.terminal.stdout.write(`${JSON.stringify({ kind: 'submitted', build: id, existing: false })}\n`);
    const end = await followLog(session, server, id);
    if (end === undefined) return EXIT.cancelled;
    if (options.fetch.length > 0 && end.result !== undefined) await bringBack(session, server, end);
    return report(session, id, end);
  } catch (error) {
    throw atServer(error, server);
  }
}

/** Streams the log while the command runs. The step as it ended, or undefined where the user left it running. */
async function followLog(session: Session, server: BuildServer, build: string): Promise<StepView | undefined> {
  const leaving = new AbortController();
  let asked = false;
  using _interrupt = session.terminal.onInterrupt(() => {
    if (asked) return leaving.abort();
    asked = true;
    say(session, 'switchyard: cancelling; Ctrl-C again leaves the command running');
    server.cancel(build, '', 'interrupted at the command line', leaving.signal).catch((error: unknown) => {
      if (leaving.signal.aborted) return;
      say(session, `switchyard: could not cancel: ${reasonOf(error)}`);
    });
  });
  const log = new LogPrinter(session, server, build, leaving.signal);
  const options = { clock: session.terminal.clock, prng: session.prng, patienceMs: PATIENCE_MS };
  const told = new Set<string>();
  using waiting = explainWaiting(server, build, serverClockSoon(server, session.terminal.clock, session.signal), (_step, why) => {
    const reason = why.replaceAll(/\d+/g, '#'); // a count-down is no news
    if (!told.has(reason)) say(session, `switchyard: waits: ${printable(why)}`);
    told.add(reason);
  });
  let model: BuildModel | undefined;
  let lost = false;
  try {
    for await (const followed of follow(server, build, options, leaving.signal)) {
      if (followed.kind === 'lost' && !lost) say(session, `switchyard: connection lost (${followed.reason}), trying again`);
      lost = followed.kind === 'lost';
      if (followed.kind === 'snapshot') model = new BuildModel(followed.snapshot);
      if (followed.kind === 'event') model?.apply(followed.event);
      if (model !== undefined) waiting.look(model);
      if (followed.kind === 'snapshot') {
        const attempt = followed.snapshot.steps.find((step) => step.phase === 'running' && step.startedAtMs !== undefined)?.attempts.at(-1);
        if (attempt !== undefined) log.start(attempt.number);
      } else if (followed.kind === 'event' && followed.event.kind === 'attempt-started') log.start(followed.event.number);
    }
    const { steps } = await server.snapshot(build, leaving.signal);
    const [step] = steps;
    if (step === undefined) throw new Error(`the build ${build} has no step`);
    if (step.result?.log !== undefined || step.attempts.length > 0)
      log.start(step.source === 'run' || step.source === undefined ? (step.attempts.at(-1)?.number ?? 0) : 0);
    await log.finished();
    return step;
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
    say(session, `switchyard: left running. ${reattachText(build)}`);
    return undefined;
  }
}

/** Prints the log of one attempt after the other, each once and byte for byte. */
class LogPrinter {
  readonly #session: Session;
  readonly #server: BuildServer;
  readonly #build: string;
  readonly #signal: AbortSignal;
  #attempt = -1;
  #work: Promise<void> = Promise.resolve();

  constructor(session: Session, server: BuildServer, build: string, signal: AbortSignal) {
    this.#session = session;
    this.#server = server;
    this.#build = build;
    this.#signal = signal;
  }

  start(attempt: number): void {
    if (attempt <= this.#attempt) return;
    const again = this.#attempt > 0;
    this.#attempt = attempt;
    this.#work = this.#work.then(() => this.#print(attempt, again));
    this.#work.catch(() => {}); // `finished` reports it
  }

  finished(): Promise<void> {
    return this.#work;
  }

  async #print(attempt: number, again: boolean): Promise<void> {
    const { stdout } = this.#session.terminal;
    if (again) say(this.#session, `switchyard: attempt ${attempt}; its log begins here`);
    const query = { build: this.#build, step: STEP, attempt, offset: 0, follow: true };
    for await (const chunk of steadyLog(this.#server, query, { prng: this.#session.prng, signal: this.#signal })) {
      const data = Buffer.from(chunk.data);
      const text = this.#session.json
        ? `${JSON.stringify({ kind: 'log', attempt, offset: chunk.offset, data: data.toString('base64') })}\n`
        : data;
      if (!stdout.write(text)) await stdout.drained();
    }
  }
}

async function bringBack(session: Session, server: BuildServer, { result }: StepView): Promise<void> {
  await using data = await openServersData(session, server);
  await fetchOutputs(result?.outputs ?? [], session.terminal.cwd, data.store, session.signal);
}

/** The command's own code where it ran to an end. */
function report(session: Session, build: string, step: StepView): number {
  const code = codeOf(step);
  if (session.json) session.terminal.stdout.write(`${JSON.stringify({ kind: 'ended', build, step, exitCode: code })}\n`);
  else if (step.verdict !== 'succeeded' && step.failureClass !== 'exit')
    say(session, `switchyard: ${step.verdict ?? step.phase}: ${step.message}`);
  return code;
}

function codeOf(step: StepView): number {
  if (step.verdict === 'succeeded') return EXIT.ok;
  if (step.verdict === 'cancelled') return EXIT.cancelled;
  const code = step.result?.exitCode ?? 0;
  return code === 0 ? EXIT.failed : code;
}

function planOf(command: readonly string[], options: ExecOptions, name: string): Plan {
  const bad = (flag: string, value: string, form: string) => new UsageError(`${flag} is "${value}"`, `Write ${form}.`);
  const read = <T>(flag: string, value: string | undefined, parse: (text: string) => T | undefined, absent: T, form: string): T => {
    if (value === undefined) return absent;
    const parsed = parse(value);
    if (parsed === undefined) throw bad(flag, value, form);
    return parsed;
  };
  if (options.select !== undefined) {
    const parsed = parseSelector(options.select);
    if (parsed.kind === 'bad') throw new UsageError(`--select: ${parsed.message}`);
  }
  const step: PlannedStep = {
    name: STEP,
    key: STEP,
    place: { line: 1, column: 1 },
    command,
    env: Object.fromEntries(options.env),
    passEnv: options.passEnv,
    workingDirectory: '',
    inputs: { include: options.input.length === 0 ? ['.'] : options.input, exclude: [], ignored: false },
    needs: [],
    outputs: options.fetch.map(outputPath),
    selector: options.select ?? '',
    resources: {
      cpuMillis: read('--cpu', options.cpu, parseCpuMillis, 0, 'cores such as 2 or 500m'),
      memoryBytes: read('--memory', options.memory, parseSizeBytes, 0, 'a size such as 2Gi'),
      slots: 1,
      custom: {},
    },
    zone: undefined,
    environment: '',
    sandbox: [],
    network: options.network === true,
    cacheable: options.cache === true,
    salt: options.salt ?? '',
    dependencyCaches: [],
    sideEffects: undefined,
    critical: true,
    onLag: undefined,
    runIf: 'succeeded',
    priority: 0,
    queueTimeoutMs: 0,
    runTimeoutMs: read('--timeout', options.timeout, parseDurationMs, 0, 'a duration such as 10m'),
    totalTimeoutMs: 0,
    graceMs: 0,
    retry: undefined,
  };
  const title = command.join(' ');
  const short = title.length <= 100 ? title : `${title.slice(0, 80)}… ${createHash('sha256').update(title).digest('hex').slice(0, 8)}`;
  return { name: `${name}: ${short}`.slice(0, 128), labels: {}, timeoutMs: 0, failFast: true, ignore: [], steps: [step], left: [] };
}

function outputPath(written: string): string {
  const tidy = path.posix.normalize(written).replace(/\/$/, '');
  if (tidy.startsWith('/') || tidy === '..' || tidy.startsWith('../')) {
    throw new UsageError(`--fetch "${written}" leads out of the directory`, 'Name a path below the current directory.');
  }
  return tidy === '.' ? '' : tidy;
}

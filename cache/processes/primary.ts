import cluster, { type Worker as Child } from 'node:cluster';
import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import { prngFrom } from '../../base/prng.ts';
import type { ExitCode } from '../../base/program.ts';
import type { Downward, Question, Ready, Upward } from './messages.ts';

/** A data plane of several processes, which share its ports. */
export interface Processes extends AsyncDisposable {
  readonly ready: Ready;
  /** Tells them, and each that takes the place of one, where actions are handed on to. */
  relayTo(coordinator: string): void;
  /** Resolves to why, where they cannot go on together. */
  readonly failed: Promise<string>;
}

const RESTART = { initialMs: 200, maxMs: 5_000 };
/** One that ran for so long was well. */
const WELL_MS = 30_000;
/** How a process ends that cannot use its configuration. */
const WRONG_CONFIG: ExitCode = 2;
/** For a process to end once it was told to, with what it has under way. */
const STOP_MS = 8_000;
/** For an answer of one that is busy; coordinators wait longer. */
const ANSWER_MS = 3_000;

/**
 * Starts so many processes of a data plane with the same arguments as this one, the first by itself: it makes what there is to be made.
 * Connections go to them in turns. One that ends is started again; its connections are the only ones that notice.
 * @throws {Fault} CONFIG_INVALID, PEER_UNAVAILABLE where one does not come up; its own words are on standard error
 */
export async function startProcesses(count: number, argv: readonly string[], env: Env): Promise<Processes> {
  const exec = join(import.meta.dirname, '..', `main${extname(import.meta.filename)}`);
  // The commands of a parent come on our own standard input.
  cluster.setupPrimary({ exec, args: [...argv], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const group = new Group(env);
  try {
    const ready = await group.start();
    await Promise.all(Array.from({ length: count - 1 }, () => group.start()));
    group.watch(ready);
    return {
      ready,
      relayTo: (coordinator) => group.relayTo(coordinator),
      failed: group.failed,
      [Symbol.asyncDispose]: () => group.stop(),
    };
  } catch (error) {
    await group.stop();
    throw error;
  }
}

class Group {
  readonly failed: Promise<string>;
  readonly #fail: (why: string) => void;
  readonly #env: Env;
  readonly #stopping = new AbortController();
  /** Those that listen, and who waits for an answer of each by number. */
  readonly #listening = new Map<Child, Map<number, (answer: unknown) => void>>();
  #lastId = 0;
  #coordinator: string | undefined;

  constructor(env: Env) {
    this.#env = env;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.failed = promise;
    this.#fail = resolve;
  }

  /** One more process, once it listens. @throws {Fault} CONFIG_INVALID, PEER_UNAVAILABLE */
  async start(): Promise<Ready> {
    const child = cluster.fork();
    const { promise, resolve, reject } = Promise.withResolvers<Ready>();
    const ended = (code: number | null, signal: string | null) => {
      const why = `A process of the data plane did not start: it ended with ${signal ?? `code ${code}`}`;
      reject(new Fault(code === WRONG_CONFIG ? 'CONFIG_INVALID' : 'PEER_UNAVAILABLE', why));
    };
    child.once('exit', ended);
    child.on('message', (message: Upward) => {
      if (message.kind === 'ready') {
        this.#listening.set(child, new Map());
        if (this.#coordinator !== undefined) tell(child, { kind: 'relay', coordinator: this.#coordinator });
        resolve(message.ready);
      } else if (message.kind === 'ask') void this.#ask(child, message.id, message.question);
      else this.#listening.get(child)?.get(message.id)?.(message.answer);
    });
    const ready = await promise;
    child.off('exit', ended);
    return ready;
  }

  /** From now on one that ends is started again. They cannot go on where the ports are others then, because all had ended. */
  watch(ready: Ready): void {
    const { clock, log } = this.#env;
    const prng = prngFrom(process.pid);
    let failures = 0;
    let wellAt = clock.monotonic();
    cluster.on('exit', (child, code, signal) => {
      for (const answered of this.#listening.get(child)?.values() ?? []) answered(undefined);
      this.#listening.delete(child);
      if (this.#stopping.signal.aborted) return;
      failures = clock.monotonic() - wellAt > WELL_MS ? 0 : failures + 1;
      wellAt = clock.monotonic();
      log.error('data-plane-process-ended', { process: child.id, pid: child.process.pid, how: signal ?? `code ${code}`, failures });
      void this.#startAgain(backoffMs(RESTART, failures, prng) + 50, ready);
    });
  }

  relayTo(coordinator: string): void {
    this.#coordinator = coordinator;
    for (const child of this.#listening.keys()) tell(child, { kind: 'relay', coordinator });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const children = Object.values(cluster.workers ?? {}).flatMap((child) => (child === undefined ? [] : [child]));
    await Promise.all(children.map(stopped));
  }

  async #startAgain(delayMs: number, before: Ready): Promise<void> {
    const { signal } = this.#stopping;
    await sleep(delayMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    try {
      const now = await this.start();
      if (JSON.stringify(now) !== JSON.stringify(before)) this.#fail('all processes had ended, and the ports are others now');
    } catch (error) {
      this.#env.log.error('data-plane-process-not-started', { error }); // it ended, and so is started again
    }
  }

  /** Hands a question on to all others, and what they say back. */
  async #ask(from: Child, id: number, question: Question): Promise<void> {
    const answers = await Promise.all(
      [...this.#listening.keys()].filter((child) => child !== from).map((child) => this.#askOne(child, question)),
    );
    tell(from, { kind: 'answers', id, answers: answers.filter((answer) => answer !== undefined) });
  }

  async #askOne(child: Child, question: Question): Promise<unknown> {
    const waiting = this.#listening.get(child);
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      this.#env.log.warn('data-plane-process-does-not-answer', { process: child.id, pid: child.process.pid, question: question.kind });
      resolve(undefined);
    }, ANSWER_MS);
    waiting?.set(id, resolve);
    tell(child, { kind: 'asked', id, question });
    const answer = await promise;
    clearTimeout(timer);
    waiting?.delete(id);
    return answer;
  }
}

function tell(child: Child, message: Downward): void {
  if (child.isConnected()) child.send(message, () => {}); // where it ends meanwhile, its end is heard of
}

/** Tells the process to end, and kills it where it does not. */
async function stopped(child: Child): Promise<void> {
  if (child.isDead()) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => resolve());
  child.process.kill('SIGTERM');
  const timer = setTimeout(() => child.process.kill('SIGKILL'), STOP_MS);
  await promise;
  clearTimeout(timer);
}

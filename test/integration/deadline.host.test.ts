import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openLog, runAttempt } from '../../agent/sandbox/attempt.ts';
import { findProcessTools, NO_NAMESPACES, processPlan } from '../../agent/sandbox/process.ts';
import { openSandbox } from '../../agent/sandbox/open.ts';
import type { SandboxExit, SandboxRun } from '../../agent/sandbox/sandbox.ts';
import { deadlineAt, type MovableDeadline } from '../../agent/spawn/deadline.ts';
import { listProcesses } from '../../agent/spawn/processes.ts';
import { openSpawner } from '../../agent/spawn/spawner.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { NO_RESOURCES } from '../../base/resources.ts';
import type { LoadLine } from '../fixtures/deadline-load.ts';
import { needs } from '../fixtures/host.ts';
import { descendantsOf, stillRunning } from '../e2e/processes.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const env = { log: memoryLogger(), clock: systemClock };
const never = new AbortController().signal;
/** Longer than any test takes. */
const FAR_MS = 600_000;

type Run = (script: string, deadline: MovableDeadline) => Promise<SandboxExit>;
type Bench = { readonly run: Run; readonly root: string; readonly said: () => string };

/** What runs steps, each way in which their processes can be held together. */
const KINDS = [
  ['in bubblewrap', needs('bubblewrap'), 'bubblewrap'],
  ['as a process', true, 'process'],
  ['as a bare process', true, 'bare'],
] as const;

async function openBench(kind: (typeof KINDS)[number][2]): Promise<Bench & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const root = join(path, 'root');
  fs.mkdirSync(root);
  const sandbox = stack.use(kind === 'bare' ? await bareSandbox(path) : await openSandbox(kind, optionsIn(path), env));
  const owned = stack.move();
  return {
    root,
    said: () => fs.readFileSync(join(path, 'log'), 'utf8'),
    async run(script, deadline) {
      using log = openLog(join(path, 'log'));
      const limits = { resources: NO_RESOURCES, logFd: log.fd, runTimeoutMs: FAR_MS, graceMs: 0, binds: [], deadline };
      return await sandbox.run({ command: ['sh', '-c', script], env: {}, root, workingDirectory: '', network: false, ...limits }, never);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function optionsIn(path: string): Parameters<typeof openSandbox>[1] {
  return { dir: join(path, 'sandbox'), readOnlyPaths: [], hostPath: '' };
}

/** As on a host that allows neither namespaces nor control groups. */
async function bareSandbox(path: string): Promise<AsyncDisposable & { run(spec: SandboxRun, signal: AbortSignal): Promise<SandboxExit> }> {
  const marker = `SWITCHYARD_ATTEMPT=${crypto.randomUUID()}`;
  const dir = join(path, 'scratch');
  const spawner = await openSpawner({ marker, cgroups: [], scratch: dir }, env);
  const host = { spawner, cgroups: undefined, dir, pidsCountMax: 100, marker, env };
  const tools = findProcessTools();
  return {
    run: (spec, signal) => runAttempt(host, spec, signal, (scratch) => processPlan(tools, NO_NAMESPACES, spec, scratch)),
    [Symbol.asyncDispose]: () => spawner[Symbol.asyncDispose](),
  };
}

function deadlineIn(ms: number): MovableDeadline {
  return deadlineAt(systemClock.monotonic() + ms);
}

/** Host processes that sleep for that many seconds. */
function sleepers(seconds: string): number {
  return listProcesses().filter((one) => {
    if (one.zombie) return false;
    try {
      return fs.readFileSync(`/proc/${one.pid}/cmdline`, 'utf8') === `sleep\0${seconds}\0`;
    } catch {
      return false; // it has ended
    }
  }).length;
}

let slept = 500_000 + process.pid;
function uniqueSleep(): string {
  slept += 1_000_000;
  return String(slept);
}

for (const [name, can, kind] of KINDS) {
  describe.runIf(can)(`a step ${name} that has a deadline`, () => {
    test('is killed at it with everything that it started, and its run says so', async () => {
      await using bench = await openBench(kind);
      const seconds = uniqueSleep();
      // Neither signals nor the end of a child make the step end by itself.
      const script = `trap '' TERM; setsid sleep ${seconds} & (sleep ${seconds}; exit 3) || true; sleep ${seconds}; true`;
      const deadline = deadlineIn(FAR_MS);
      const exit = bench.run(script, deadline);
      await until('both sleep', () => sleepers(seconds) === 2);
      deadline.moveTo(systemClock.monotonic());
      expect((await exit).kind).toBe('overdue');
      expect(sleepers(seconds)).toBe(0);
    });

    test('goes on beyond one that is put off in time, and ends as its command does', async () => {
      await using bench = await openBench(kind);
      const first = deadlineIn(2_000);
      const due = first.at;
      const exit = bench.run('until test -e gate; do sleep 0.05; done; exit 7', first);
      first.moveTo(systemClock.monotonic() + FAR_MS);
      await until('the first deadline has passed', () => systemClock.monotonic() > due + 500);
      fs.writeFileSync(join(bench.root, 'gate'), '');
      expect(await exit).toMatchObject({ kind: 'exited', code: 7 });
    });

    test('takes no other step along', async () => {
      await using bench = await openBench(kind);
      const far = deadlineIn(FAR_MS);
      const other = bench.run('until test -e gate; do sleep 0.05; done; echo done', far);
      const exits = await Promise.all([bench.run('sleep 600', deadlineIn(500)), bench.run('sleep 600', deadlineIn(600))]);
      expect(exits.map((exit) => exit.kind)).toEqual(['overdue', 'overdue']);
      // What comes after them is not theirs either.
      expect(await bench.run('exit 4', deadlineIn(FAR_MS))).toMatchObject({ kind: 'exited', code: 4 });
      fs.writeFileSync(join(bench.root, 'gate'), '');
      expect(await other).toMatchObject({ kind: 'exited', code: 0 });
      expect(bench.said()).toContain('done');
    });
  });
}

describe('an agent that stands still', () => {
  for (const [name, can, kind] of KINDS.filter(([, , one]) => one !== 'bare')) {
    test.runIf(can)(
      `with all that it started has its step ${name} killed at the deadline, daemons included, and says so when it goes on`,
      async () => {
        await using dir = await tempDir();
        const seconds = uniqueSleep();
        const holder = [join(ROOT, 'test/fixtures/sandbox-holder.ts'), kind, dir.path, seconds, '4000'];
        using agent = disposable(spawn(process.execPath, holder, { stdio: ['ignore', 'pipe', 'inherit'] }));
        await until('both sleep', () => sleepers(seconds) === 2);
        // Everything that it started stands still too, but for the one process that is there for this.
        const { pid = 0 } = agent.child;
        const started = descendantsOf(pid);
        const watchdog = started.find(({ commandLine }) => commandLine.includes('keep_deadlines'))?.pid ?? 0;
        const awake = new Set([watchdog, ...descendantsOf(watchdog).map((one) => one.pid)]);
        for (const one of [pid, ...started.map((mark) => mark.pid).filter((mark) => !awake.has(mark))]) process.kill(one, 'SIGSTOP');
        await until('nobody sleeps', () => sleepers(seconds) === 0, 30_000);
        expect(fs.readFileSync(`/proc/${agent.child.pid}/stat`, 'latin1')).toMatch(/\) T /);
        for (const one of stillRunning(started)) process.kill(one.pid, 'SIGCONT');
        agent.child.kill('SIGCONT');
        const [line] = await once(agent.child.stdout ?? agent.child, 'data');
        expect(JSON.parse(String(line))).toMatchObject({ kind: 'overdue' });
      },
    );
  }
});

describe('an agent that stands still now and then', () => {
  for (const [name, can, kind] of KINDS.filter(([, , one]) => one !== 'bare')) {
    test.runIf(can)(
      `never takes a part of a step ${name} for its result, nor ends one that has no deadline`,
      { timeout: 120_000 },
      async () => {
        await using dir = await tempDir();
        const prng = prngFrom(21);
        await using agent = startNode([join(ROOT, 'test/fixtures/deadline-load.ts'), kind, dir.path]);
        const over = agent.ended.then(() => true);
        while (!(await Promise.race([over, sleep(prng.below(400), false)]))) {
          agent.kill('SIGSTOP');
          await sleep(prng.below(300));
          agent.kill('SIGCONT');
        }
        expect(await agent.ended).toEqual({ code: 0, signal: null });
        const lines = agent
          .stdout()
          .trim()
          .split('\n')
          .map((line): LoadLine => JSON.parse(line));
        const whole = { kind: 'exited', code: 0, log: '1\n2\n3\nend\n' };
        for (const { guarded, ...line } of lines) if (line.kind !== 'overdue' || !guarded) expect(line).toEqual(whole);
        expect(lines.filter((line) => line.kind === 'overdue').length).toBeGreaterThan(0);
        expect(lines.filter((line) => line.guarded && line.kind === 'exited').length).toBeGreaterThan(0);
      },
    );
  }
});

function disposable(child: ChildProcess): Disposable & { readonly child: ChildProcess } {
  return { child, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

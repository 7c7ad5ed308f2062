import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StepView } from '../../cli/build-view.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { until } from '../fixtures/until.ts';
import { descendantsOf, stillRunning } from './processes.ts';
import {
  endOf,
  logReaches,
  readLog,
  sha256,
  snapshotOf,
  startRealYard,
  stepOf,
  submittedBy,
  writeFiles,
  type RealYard,
} from './real-yard.ts';

/** Bytes that `left` and `right` have written when they wait at the gate. */
const FIRST_HALF = 40 * 3_000;

/**
 * Each step writes bytes that are no text, in small pieces, half of them before a file appears at the gate. The agents run
 * the `process` sandbox, in which steps see the files of the host.
 */
function pipeline(gate: string): string {
  const half = (byte: string) =>
    `i=0; while [ $i -lt 40 ]; do printf '\\000\\377\\r%03d' $i; head -c 2994 /dev/zero | tr '\\000' '\\${byte}'; sleep 0.01; i=$((i+1)); done`;
  const slow = (byte: string, out: string) =>
    `|\n      ${half(byte)}\n      while [ ! -e '${gate}' ]; do sleep 0.05; done\n      ${half(byte)}\n      cat shared/word > ${out}`;
  const pure = 'cache: false, sideEffects: false';
  return `version: 1
defaults: { timeout: 5m }
steps:
  first: { run: 'printf "\\\\200first\\\\n"; mkdir shared; echo word > shared/word', outputs: [shared], labels: name=one, ${pure} }
  left:
    run: ${slow('253', 'l')}
    needs: first
    cache: false
    sideEffects: false
    outputs: [l]
    labels: name=one
  right:
    run: ${slow('254', 'r')}
    needs: first
    cache: false
    sideEffects: false
    outputs: [r]
    labels: name=two
  last: { run: 'cat l r; printf "\\\\201\\\\000"', needs: [left, right], labels: name=two, ${pure} }
`;
}

const STEPS = ['first', 'left', 'right', 'last'] as const;
type Logs = Readonly<Record<string, string>>;

/** SHA-256 of every log as a reader gets it, which must be the one that its agent computed. */
async function logsOf(yard: RealYard, build: string): Promise<Logs> {
  const { steps } = await snapshotOf(yard.server, build);
  const logs: Record<string, string> = {};
  for (const step of steps) {
    const bytes = await readLog(yard.server, build, step.name);
    logs[step.name] = `${sha256(bytes)}-${bytes.byteLength}`;
    expect(step.result?.log?.digest, step.name).toBe(logs[step.name]);
  }
  return logs;
}

/** How often each step was begun. */
function attempts(steps: readonly StepView[]): Readonly<Record<string, number>> {
  return Object.fromEntries(steps.map((step) => [step.name, step.attempts.length]));
}

describe('kill -9 in the middle of a build', () => {
  let yard: RealYard;
  let undisturbed: Logs;
  let builds = 0;

  /** Submits the pipeline with `run`; both slow steps are in the middle of their first half when this resolves. */
  async function midBuild() {
    builds += 1;
    const gate = join(yard.dir, `gate-${builds}`);
    await writeFiles(yard.work, { 'switchyard.yaml': pipeline(gate) });
    const run = startSwitchyard(['run', '-o', 'json', ...yard.at], { cwd: yard.work });
    const build = await submittedBy(run);
    await Promise.all(['left', 'right'].map((step) => logReaches(yard.server, build, step, 6_000)));
    return { run, build, first: await stepOf(yard.server, build, 'first'), open: () => closeSync(openSync(gate, 'w')) };
  }

  /** What the logs of every later build are compared with. */
  async function logsOfUndisturbed(): Promise<Logs> {
    const { run, build, open } = await midBuild();
    await using _run = run;
    open();
    expect((await run.ended).code).toBe(0);
    const logs = await logsOf(yard, build);
    expect(Object.keys(logs).toSorted()).toEqual([...STEPS].toSorted());
    expect(logs['left']).toMatch(new RegExp(`-${2 * FIRST_HALF}$`));
    return logs;
  }

  beforeAll(async () => {
    yard = await startRealYard({ agents: ['one', 'two'], agentArgs: ['--sandbox', 'process'] });
    undisturbed = await logsOfUndisturbed();
  });

  afterAll(() => yard[Symbol.asyncDispose]());

  test('of an agent: its step runs again when it is back, what was accepted and what runs elsewhere stays', async () => {
    const { run, build, first, open } = await midBuild();
    await using _run = run;
    const steps = descendantsOf(yard.agent('one').pid);
    await yard.killAgent('one', () => until('its steps are gone', () => stillRunning(steps).length === 0).then(() => undefined));
    open();
    expect((await run.ended).code).toBe(0);
    const after = await snapshotOf(yard.server, build);
    expect(attempts(after.steps)).toEqual({ first: 1, left: 2, right: 1, last: 1 });
    expect(await stepOf(yard.server, build, 'first')).toEqual(first);
    expect(await logsOf(yard, build)).toEqual(undisturbed);
  });

  test('of the coordinator: its data plane goes with it, running steps go on, and nothing runs twice', async () => {
    const { run, build, first, open } = await midBuild();
    await using _run = run;
    const children = descendantsOf(yard.coordinator.pid);
    expect(children.map((child) => child.commandLine)).toEqual([expect.stringContaining('cache/main')]);
    await yard.killCoordinator(() => until('the data plane is gone', () => stillRunning(children).length === 0).then(() => undefined));
    open();
    expect((await run.ended).code).toBe(0);
    const after = await snapshotOf(yard.server, build);
    expect(attempts(after.steps)).toEqual({ first: 1, left: 1, right: 1, last: 1 });
    expect(await stepOf(yard.server, build, 'first')).toEqual(first);
    expect(await logsOf(yard, build)).toEqual(undisturbed);
  });

  test('of the coordinator while steps end: their results wait for it, and are accepted once', async () => {
    const { run, build, first, open } = await midBuild();
    await using _run = run;
    const steps = ['one', 'two'].flatMap((name) =>
      descendantsOf(yard.agent(name).pid).filter((step) => step.commandLine.includes('gate-')),
    );
    expect(steps.length).toBeGreaterThan(0);
    await yard.killCoordinator(async () => {
      open();
      await until('the steps have ended', () => stillRunning(steps).length === 0);
    });
    expect((await run.ended).code).toBe(0);
    const after = await snapshotOf(yard.server, build);
    expect(attempts(after.steps)).toEqual({ first: 1, left: 1, right: 1, last: 1 });
    expect(await stepOf(yard.server, build, 'first')).toEqual(first);
    expect(await logsOf(yard, build)).toEqual(undisturbed);
  });

  test('of the command line: the build goes on, and the same command finds it again', async () => {
    const { run, build, first, open } = await midBuild();
    await using _run = run;
    run.kill('SIGKILL');
    await run.ended;
    await using again = startSwitchyard(['run', '-o', 'json', ...yard.at], { cwd: yard.work });
    expect(await submittedBy(again)).toBe(build);
    open();
    expect((await again.ended).code).toBe(0);
    const after = await snapshotOf(yard.server, build);
    expect(attempts(after.steps)).toEqual({ first: 1, left: 1, right: 1, last: 1 });
    expect(await stepOf(yard.server, build, 'first')).toEqual(first);
    expect(await logsOf(yard, build)).toEqual(undisturbed);
  });

  test('of all of them at once: the build is finished by those who come after', async () => {
    const { run, build, first, open } = await midBuild();
    await using _run = run;
    run.kill('SIGKILL');
    await yard.killAgent('one', () => yard.killAgent('two', () => yard.killCoordinator()));
    open();
    expect((await endOf(yard.server, build)).build.verdict).toBe('succeeded');
    const after = await snapshotOf(yard.server, build);
    expect(attempts(after.steps)).toEqual({ first: 1, left: 2, right: 2, last: 1 });
    expect(await stepOf(yard.server, build, 'first')).toEqual(first);
    expect(await logsOf(yard, build)).toEqual(undisturbed);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { silentLogger } from '../../base/log.ts';
import { scriptedCoordinator, offerOf } from '../fixtures/scripted-coordinator.ts';
import { startNode, type RunningProcess } from '../fixtures/run-process.ts';
import { freePorts } from '../fixtures/ports.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const env: Env = { log: silentLogger, clock: systemClock };

function startAgent(address: string, workDir: string, args: readonly string[] = []): RunningProcess {
  const own = ['agent/main.ts', '--coordinator', address, '--work-dir', workDir, '--id', 'edge-1', '--label', 'class=edge', '--slots', '3'];
  return startNode([...own, ...args], { stdin: args.includes('--exit-with-parent') ? 'pipe' : 'ignore' });
}

/** A step that goes on until it is killed, and can be told among all processes of the host by its argument. */
function endless(mark: string): readonly string[] {
  return ['sleep', `100000.${mark}`];
}

function runs(command: readonly string[]): boolean {
  const wanted = `${command.join('\0')}\0`;
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1') === wanted;
    } catch {
      return false; // it has just ended
    }
  });
}

function mark(): string {
  return String(process.pid) + String(Math.floor(systemClock.monotonic() * 1000));
}

describe('an agent that is killed', () => {
  test('takes its steps with it, and comes back as another boot without them', async () => {
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    const command = endless(mark());
    await using first = startAgent(coordinator.address, dir.path);
    const before = await coordinator.stream(1);
    before.send(offerOf('a1.1', command));
    await before.heard('running');
    await until('the command runs', () => runs(command));
    first.kill('SIGKILL');
    await until('the command is gone', () => !runs(command));
    await using second = startAgent(coordinator.address, dir.path);
    const after = await coordinator.stream(2);
    expect(after.all('register')[0]?.held).toEqual([]);
    expect(after.all('register')[0]?.bootId).not.toBe(before.all('register')[0]?.bootId);
    await until('the log says what was lost', () => second.stderr().includes('attempt-lost-in-crash'));
  });

  test('offers a result that nobody had answered, until somebody does', async () => {
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    coordinator.manners.answersFinished = false;
    await using first = startAgent(coordinator.address, dir.path);
    const before = await coordinator.stream(1);
    before.send(offerOf('a1.1', ['true']));
    const { report } = await before.heard('finished');
    expect(report?.failureClass).toBe('FAILURE_CLASS_UNSPECIFIED');
    first.kill('SIGKILL');
    await first.ended;
    coordinator.manners.answersFinished = true;
    await using second = startAgent(coordinator.address, dir.path);
    const after = await coordinator.stream(2);
    expect(after.all('register')[0]?.held).toEqual([{ token: 'a1.1', started: true, finished: report }]);
    await after.heard('finished');
    second.kill('SIGTERM');
    await second.ended;
    await using third = startAgent(coordinator.address, dir.path);
    expect((await coordinator.stream(3)).all('register')[0]?.held).toEqual([]);
    expect(await third.ready()).toMatchObject({ agent: 'edge-1' });
  });
});

describe('an agent that is told to end', () => {
  test('says that it is ready once it is registered, and drains on SIGTERM', async () => {
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    await using agent = startAgent(coordinator.address, dir.path);
    expect(await agent.ready()).toMatchObject({ agent: 'edge-1', sandbox: expect.any(String), missing: expect.any(Array) });
    const stream = await coordinator.stream(1);
    expect(stream.all('register')[0]).toMatchObject({ labels: { class: 'edge', os: 'linux' }, credits: 3, capacity: { slots: 3 } });
    stream.send(offerOf('a1.1', ['sleep', '1']));
    await stream.heard('running');
    agent.kill('SIGTERM');
    expect(await agent.ended).toEqual({ code: 0, signal: null });
    expect(stream.all('finished')).toMatchObject([{ report: { failureClass: 'FAILURE_CLASS_UNSPECIFIED' } }]);
    expect(stream.received.at(-1)?.kind).toBe('leaving');
  });

  test('is not ready any more while it drains, so that whoever makes its pool smaller takes it first', async () => {
    const [port = 0] = await freePorts(1);
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    await using agent = startAgent(coordinator.address, dir.path, ['--metrics-listen', `127.0.0.1:${port}`]);
    const probe = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    const stream = await coordinator.stream(1);
    stream.send(offerOf('a1.1', endless(mark())));
    await stream.heard('running');
    expect(await probe('/readyz')).toBe(200);
    stream.send({ drain: { reason: 'scaled in' } });
    await stream.heard('draining');
    expect([await probe('/readyz'), await probe('/livez')]).toEqual([503, 200]);
    agent.kill('SIGQUIT');
    expect(await agent.ended).toEqual({ code: 0, signal: null });
  });

  test('stops its steps on a second SIGTERM, free of charge', async () => {
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    const command = endless(mark());
    await using agent = startAgent(coordinator.address, dir.path);
    const stream = await coordinator.stream(1);
    stream.send(offerOf('a1.1', command));
    await stream.heard('running');
    agent.kill('SIGTERM');
    await stream.heard('draining');
    agent.kill('SIGTERM');
    expect(await agent.ended).toEqual({ code: 0, signal: null });
    expect(runs(command)).toBe(false);
    expect(stream.all('finished')).toMatchObject([{ report: { failureClass: 'FAILURE_CLASS_AGENT_STOP' } }]);
  });

  test('stops when its parent goes away', async () => {
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    const command = endless(mark());
    const parent = `
      const { spawn } = require('node:child_process');
      spawn(process.execPath, process.argv.slice(1), { stdio: ['pipe', 'ignore', 'inherit'] });
      setInterval(() => {}, 1000);`;
    const args = ['agent/main.ts', '--coordinator', coordinator.address, '--work-dir', dir.path, '--id', 'edge-1', '--exit-with-parent'];
    await using process = startNode(['-e', parent, '--', ...args]);
    const stream = await coordinator.stream(1);
    stream.send(offerOf('a1.1', command));
    await stream.heard('running');
    process.kill('SIGKILL');
    await stream.heard('leaving');
    expect(stream.all('finished')).toMatchObject([{ report: { failureClass: 'FAILURE_CLASS_AGENT_STOP' } }]);
    expect(runs(command)).toBe(false);
  });
});

describe('an agent that cannot start', () => {
  test('names everything that is wrong with its options', async () => {
    await using agent = startNode(['agent/main.ts', '--slots', '0', '--cordinator', 'x:1', '--drain-timeout', 'soon']);
    expect((await agent.ended).code).toBe(2);
    expect(agent.stderr()).toContain('--slots');
    expect(agent.stderr()).toContain('did you mean');
    expect(agent.stderr()).toContain('--drain-timeout');
  });

  test('leaves a work directory alone that another one uses', async () => {
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    await using first = startAgent(coordinator.address, dir.path);
    await first.ready();
    await using second = startAgent(coordinator.address, dir.path);
    expect((await second.ended).code).toBe(1);
    expect(second.stderr()).toContain('is in use by the agent with process id');
  });

  test('says why the coordinator does not want it', async () => {
    await using dir = await tempDir();
    await using coordinator = await scriptedCoordinator(env);
    coordinator.manners.registered = { protocol: 9 };
    await using agent = startAgent(coordinator.address, dir.path);
    expect((await agent.ended).code).toBe(1);
    expect(agent.stderr()).toContain('protocol 9');
  });
});

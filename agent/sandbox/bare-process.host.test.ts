import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { NO_RESOURCES } from '../../base/resources.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { listProcesses, type ProcessInfo } from '../spawn/processes.ts';
import { openSpawner, type Spawner } from '../spawn/spawner.ts';
import { openLog, runAttempt } from './attempt.ts';
import { NO_NAMESPACES, findProcessTools, processPlan } from './process.ts';
import type { SandboxExit } from './sandbox.ts';

/** A host that allows neither namespaces nor control groups: all that is left are parents, groups and a variable. */
describe('a step as a bare process', () => {
  const marker = `SWITCHYARD_ATTEMPT=${crypto.randomUUID()}`;
  const env = { log: silentLogger, clock: systemClock };
  let dir: TempDir;
  let spawner: Spawner;
  beforeAll(async () => {
    dir = await tempDir();
    fs.mkdirSync(path.join(dir.path, 'root'));
    spawner = await openSpawner({ marker, cgroups: [], scratch: path.join(dir.path, 'scratch') }, env);
  });
  afterAll(async () => {
    await spawner[Symbol.asyncDispose]();
    await dir[Symbol.asyncDispose]();
  });

  async function sh(script: string, runTimeoutMs = 60_000, signal = new AbortController().signal): Promise<SandboxExit> {
    using log = openLog(path.join(dir.path, 'log'));
    const host = { spawner, cgroups: undefined, dir: path.join(dir.path, 'scratch'), pidsCountMax: 100, marker, env };
    const spec = { command: ['sh', '-c', script], env: {}, root: path.join(dir.path, 'root'), workingDirectory: '', network: false };
    const limits = { resources: NO_RESOURCES, logFd: log.fd, runTimeoutMs, graceMs: 100, binds: [] };
    return await runAttempt(host, { ...spec, ...limits }, signal, (scratch) =>
      processPlan(findProcessTools(), NO_NAMESPACES, { ...spec, ...limits }, scratch),
    );
  }
  const marked = () => listProcesses().filter((process) => !process.zombie && environment(process).includes(marker));

  test('ends as its command does, and its daemons are found and killed', async () => {
    const exit = await sh('setsid sh -c "setsid sleep 600 & >up; sleep 600" >/dev/null 2>&1 & while ! test -e up; do :; done; exit 7');
    expect(exit).toMatchObject({ kind: 'exited', code: 7 });
    expect(marked()).toEqual([]);
  });

  test('is killed with its daemons at the time limit', async () => {
    const running = sh('trap "" TERM; setsid sh -c "setsid sleep 600 & sleep 600" & sleep 600', 500);
    await until('all run', () => marked().length >= 4);
    expect((await running).kind).toBe('timed-out');
    expect(marked()).toEqual([]);
  });

  test('leaves other steps alone when it ends or is killed', async () => {
    const stop = new AbortController();
    const other = sh('sleep 600; exit 1', 60_000, stop.signal);
    await until('the other one and its child run', () => marked().length === 2);
    const before = marked().map((process) => process.pid);
    expect(await sh('exit 3')).toMatchObject({ kind: 'exited', code: 3 });
    expect((await sh('trap "" TERM; sleep 600', 100)).kind).toBe('timed-out');
    expect(marked().map((process) => process.pid)).toEqual(before);
    stop.abort();
    expect((await other).kind).toBe('cancelled');
    expect(marked()).toEqual([]);
  });

  test('has its CPU time counted by its launcher', async () => {
    expect((await sh('i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done')).cpuMs).toBeGreaterThan(20);
  });
});

function environment(process: ProcessInfo): string {
  try {
    return fs.readFileSync(`/proc/${process.pid}/environ`, 'latin1');
  } catch {
    return ''; // it has ended
  }
}

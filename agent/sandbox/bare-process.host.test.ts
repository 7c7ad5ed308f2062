import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { NO_RESOURCES } from '../../base/resources.ts';
import { tempDir, type TempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { listProcesses, processesWithEnv } from '../spawn/processes.ts';
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
    spawner = await openSpawner({ marker, cgroups: [] }, env);
  });
  afterAll(async () => {
    await spawner[Symbol.asyncDispose]();
    await dir[Symbol.asyncDispose]();
  });

  async function sh(script: string, runTimeoutMs = 60_000): Promise<SandboxExit> {
    using log = openLog(path.join(dir.path, 'log'));
    const host = { spawner, cgroups: undefined, dir: path.join(dir.path, 'scratch'), pidsCountMax: 100, marker, env };
    const spec = { command: ['sh', '-c', script], env: {}, root: path.join(dir.path, 'root'), workingDirectory: '', network: false };
    const limits = { resources: NO_RESOURCES, logFd: log.fd, runTimeoutMs, graceMs: 100, binds: [] };
    return await runAttempt(host, { ...spec, ...limits }, new AbortController().signal, (scratch) =>
      processPlan(findProcessTools(), NO_NAMESPACES, marker, { ...spec, ...limits }, scratch),
    );
  }
  const marked = () =>
    processesWithEnv(
      marker,
      listProcesses().filter((process) => !process.zombie),
    );

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

  test('has its CPU time counted by its launcher', async () => {
    expect((await sh('i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done')).cpuMs).toBeGreaterThan(20);
  });
});

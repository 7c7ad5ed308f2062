import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../base/secret.ts';
import { connectBuildServer } from '../../cli/rpc/client.ts';
import { startSwitchyard, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { descendantsOf, stillRunning } from './processes.ts';
import { endOf, logReaches, readLog, stepOf, submittedBy, writeFiles } from './real-yard.ts';

/** A connection to the yard of the directory, as the file in its state directory tells. */
function connectYard(work: string) {
  const file: unknown = JSON.parse(readFileSync(join(work, '.switchyard/yard.json'), 'utf8'));
  if (typeof file !== 'object' || file === null || !('address' in file) || !('tokenFile' in file)) throw new Error('no yard file');
  const token = new Secret(readFileSync(String(file.tokenFile), 'utf8').trim());
  return connectBuildServer({ address: String(file.address), token });
}

/** kill -9 of the yard's supervisor alone; resolves when nothing that it had started, at any depth, runs any more. */
async function killYard(yard: RunningProcess): Promise<void> {
  const started = descendantsOf(yard.pid);
  const commands = started.map((entry) => entry.commandLine).join('\n');
  for (const part of ['coordinator/main', 'cache/main', 'agent/main', 'sleep 100000']) expect(commands).toContain(part);
  yard.kill('SIGKILL');
  await yard.ended;
  await until('nothing of the yard runs', () => stillRunning(started).length === 0).catch(() => {
    expect(stillRunning(started)).toEqual([]);
  });
}

describe('a yard whose supervisor is killed', () => {
  test('by "up" takes all its processes along, daemons of steps included, and goes on when it is started again', async () => {
    await using dir = await tempDir();
    const pure = 'cache: false, sideEffects: false, timeout: 1h, labels: class=central';
    await writeFiles(dir.path, {
      'switchyard.yaml': `version: 1
steps:
  before: { run: 'echo done; echo made > made', outputs: [made], ${pure} }
  during: { run: 'cat made; setsid sleep 100000.1 & (sleep 100000.2 &) ; sleep 100000.3', needs: before, ${pure} }
`,
    });
    await using first = startSwitchyard(['up', '-o', 'json'], { cwd: dir.path });
    await first.ready();
    await using run = startSwitchyard(['run', '--detach', '-o', 'json'], { cwd: dir.path });
    const build = await submittedBy(run);
    await run.ended;
    let before: unknown;
    {
      using server = connectYard(dir.path);
      await logReaches(server, build, 'during', 5);
      before = await stepOf(server, build, 'before');
      await until(
        'its daemons run',
        () => descendantsOf(first.pid).filter((one) => one.commandLine.startsWith('sleep 100000')).length === 3,
      );
    }
    await killYard(first);

    await using second = startSwitchyard(['up', '-o', 'json'], { cwd: dir.path });
    await second.ready();
    using server = connectYard(dir.path);
    await until('the step runs again', async () => {
      const { attempts, phase } = await stepOf(server, build, 'during');
      return phase === 'running' && attempts.length === 2;
    });
    expect(await stepOf(server, build, 'before')).toEqual(before);
    await server.cancel(build, '', 'seen enough', new AbortController().signal);
    expect((await endOf(server, build)).build.verdict).toBe('cancelled');
    second.kill('SIGTERM');
    expect(await second.ended).toEqual({ code: 0, signal: null });
  });

  test('by "run --embedded" leaves nothing behind, and the same command goes on where it was', async () => {
    await using dir = await tempDir();
    const gate = join(dir.path, 'gate');
    const pure = 'cache: false, sideEffects: false, timeout: 1h, labels: class=central';
    await writeFiles(dir.path, {
      'switchyard.yaml': `version: 1
steps:
  before: { run: 'printf "\\\\377\\\\000"; echo made > made', outputs: [made], ${pure} }
  during:
    { run: 'cat made; sleep 100000.4 & while [ ! -e "${gate}" ]; do sleep 0.05; done; printf "\\\\376"; cat made', needs: before, ${pure} }
  after: { run: 'cat made', needs: [before, during], ${pure} }
`,
    });
    const command = ['run', '--embedded', '--sandbox', 'process', '-o', 'json'];
    await using first = startSwitchyard(command, { cwd: dir.path });
    const build = await submittedBy(first);
    let before: unknown;
    {
      using server = connectYard(dir.path);
      await logReaches(server, build, 'during', 5);
      before = await stepOf(server, build, 'before');
    }
    await killYard(first);

    await using second = startSwitchyard(command, { cwd: dir.path });
    expect(await submittedBy(second)).toBe(build);
    {
      using server = connectYard(dir.path);
      await until('the step runs again', async () => (await stepOf(server, build, 'during')).attempts.length === 2);
      expect(await stepOf(server, build, 'before')).toEqual(before);
      // Begun before the end is in sight: the yard stops as soon as its build has ended.
      const log = readLog(server, build, 'during');
      closeSync(openSync(gate, 'w'));
      expect((await log).toString('latin1')).toBe('made\n\u00femade\n');
    }
    expect(await second.ended).toEqual({ code: 0, signal: null });
    expect(second.stdout()).toContain('"verdict":"succeeded"');
  });
});

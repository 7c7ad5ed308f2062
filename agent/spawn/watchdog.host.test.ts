import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { hostUptimeMs } from '../../base/clock.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { startLauncher, type Launcher } from './launcher.ts';
import { LAUNCH_FILE, OVERDUE_FILE, startWatchdog, type GuardedAttempt, type Watchdog } from './watchdog.ts';

type World = { readonly dir: string; readonly watchdog: Watchdog; readonly launcher: () => Promise<Launcher> };

async function world(): Promise<World & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(await tempDir());
  const watchdog = await startWatchdog('/bin/sh', { marker: undefined, cgroups: [], scratch: dir });
  stack.defer(async () => {
    watchdog.dismiss();
    await watchdog.gone;
  });
  const launchers: Launcher[] = [];
  stack.defer(() => launchers.forEach((one) => one.kill()));
  const launcher = async () => {
    const started = await startLauncher(['/bin/sh']);
    launchers.push(started);
    return started;
  };
  const owned = stack.move();
  return { dir, watchdog, launcher, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A script of an attempt that is under way; what it runs ends when the test has removed its directory. */
function attemptIn(dir: string, id: string, text: string): string {
  mkdirSync(join(dir, id), { recursive: true });
  const script = join(dir, id, LAUNCH_FILE);
  writeFileSync(script, text);
  return script;
}

const due = (id: string, launcher: Launcher): GuardedAttempt => ({ id, launcher: launcher.pid, killAtUptimeMs: hostUptimeMs() });
const busy = (dir: string) => `( exec sh -c 'echo >${join(dir, 'begun')}; while [ -d ${dir} ]; do sleep 0.05; done' )\n`;

test('what a launcher runs after an attempt that is over is not taken for it', async () => {
  await using held = await world();
  const { dir, watchdog } = held;
  const [reused, other] = [await held.launcher(), await held.launcher()];
  rmSync(attemptIn(dir, 'over', ''));
  const next = reused.run(attemptIn(dir, 'next', `( exec sh -c 'until [ -e ${join(dir, 'gate')} ]; do sleep 0.05; done; exit 5' )\n`));
  const ended = other.run(attemptIn(dir, 'late', busy(dir)));
  await until('it runs', () => existsSync(join(dir, 'begun')));
  // They are looked at in this order.
  watchdog.guard([due('over', reused), due('late', other)]);
  expect((await ended).code).toBe(137);
  writeFileSync(join(dir, 'gate'), '');
  expect((await next).code).toBe(5);
  expect(existsSync(join(dir, 'over', OVERDUE_FILE))).toBe(false);
});

test('an attempt is ended at its deadline however often and quickly that was moved before', async () => {
  await using held = await world();
  const { dir, watchdog } = held;
  const launcher = await held.launcher();
  const ended = launcher.run(attemptIn(dir, 'moved', busy(dir)));
  await until('it runs', () => existsSync(join(dir, 'begun')));
  for (let round = 0; round < 300; round += 1) {
    watchdog.guard([{ id: 'moved', launcher: launcher.pid, killAtUptimeMs: hostUptimeMs() + 600_000 }]);
    // Sometimes as one line with the next, sometimes while what keeps the deadlines is just being set up.
    await sleep(round % 4);
  }
  watchdog.guard([due('moved', launcher)]);
  expect((await ended).code).toBe(137);
});

test('an attempt whose first process comes after its deadline is ended, too', async () => {
  await using held = await world();
  const { dir, watchdog } = held;
  const [slow, other] = [await held.launcher(), await held.launcher()];
  const script = attemptIn(dir, 'slow', `( exec sh -c 'while [ -d ${dir} ]; do sleep 0.05; done' )\n`);
  const ended = other.run(attemptIn(dir, 'late', busy(dir)));
  await until('it runs', () => existsSync(join(dir, 'begun')));
  watchdog.guard([due('slow', slow), due('late', other)]);
  expect((await ended).code).toBe(137);
  expect((await slow.run(script)).code).toBe(137);
  expect(existsSync(join(dir, 'slow', OVERDUE_FILE))).toBe(true);
});

test('an attempt that is let off while it is being ended is either killed and marked so, or goes on as if nothing had been', async () => {
  await using held = await world();
  const { dir } = held;
  for (let round = 0; round < 12; round += 1) {
    const watchdog = await startWatchdog('/bin/sh', { marker: undefined, cgroups: [], scratch: dir });
    const launcher = await held.launcher();
    const [begun, gate] = [join(dir, `begun-${round}`), join(dir, `gate-${round}`)];
    const loop = `echo >${begun}; until [ -e ${gate} ]; do sleep 0.01; done; exit 5`;
    const run = launcher.run(attemptIn(dir, String(round), `( exec sh -c 'sh -c "${loop}"; exit $?' )\n`));
    await until('it runs', () => existsSync(begun));
    watchdog.guard([due(String(round), launcher)]);
    await sleep(5 * round);
    watchdog.guard([]);
    watchdog.dismiss();
    await watchdog.gone;
    writeFileSync(gate, '');
    const { code } = await run;
    expect(code, `in round ${round}`).toBe(existsSync(join(dir, String(round), OVERDUE_FILE)) ? 137 : 5);
  }
});

test('kills no process that has come to the number of a launcher of an agent that is gone', async () => {
  await using held = await world();
  const { dir } = held;
  const stranger = await held.launcher();
  const [pidFile, gate] = [join(dir, 'pid'), join(dir, 'gate')];
  const text = `( exec sh -c 'echo $$ >${pidFile}; until [ -e ${gate} ]; do sleep 0.05; done; exit 6' )\n`;
  const ended = stranger.run(attemptIn(dir, 'a', text));
  const pid = await until(
    'it runs',
    () => existsSync(pidFile) && Number(readFileSync(pidFile, 'latin1')) > 0 && readFileSync(pidFile, 'latin1'),
  );
  const own = await held.launcher();
  const agent = `import { startWatchdog } from ${JSON.stringify(join(import.meta.dirname, 'watchdog.ts'))};
    const watchdog = await startWatchdog('/bin/sh', { marker: undefined, cgroups: [], scratch: ${JSON.stringify(dir)} });
    watchdog.watch([${pid.trim()}, ${own.pid}]);
    setImmediate(() => process.kill(process.pid, 'SIGKILL'));`;
  spawnSync(process.execPath, ['--input-type=module', '-e', agent]);
  await own.gone;
  writeFileSync(gate, '');
  expect((await ended).code).toBe(6);
});

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prngFrom } from '../../base/prng.ts';
import { digestOf } from '../../cache/digest.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { needs } from '../fixtures/host.ts';
import { ALL_FAULTS } from './fault.ts';
import { parseChaosOptions } from './options.ts';
import { commandOf } from './report.ts';
import { planFaults, type ScheduleOptions } from './schedule.ts';
import { planBuild } from './workload.ts';

const OPTIONS: ScheduleOptions = { kinds: ALL_FAULTS, durationMs: 600_000, everyMs: 5_000, leaseTtlMs: 15_000, termTtlMs: 3_000 };

test('a seed gives the same faults and the same builds each time, and another one gives others', () => {
  expect(planFaults(prngFrom(7), OPTIONS)).toEqual(planFaults(prngFrom(7), OPTIONS));
  expect(planFaults(prngFrom(7), OPTIONS)).not.toEqual(planFaults(prngFrom(8), OPTIONS));
  const build = (seed: number) => planBuild(3, { seed, witnessDir: '/w' });
  expect(build(7)).toEqual(build(7));
  expect(build(7).request.steps).not.toEqual(build(8).request.steps);
});

test('a long schedule has every kind about equally often, and all of it is healed before the end', () => {
  const faults = planFaults(prngFrom(1), OPTIONS);
  const counts = ALL_FAULTS.map((kind) => faults.filter((fault) => fault.kind === kind).length);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  for (const { atMs, forMs } of faults) expect(atMs + forMs).toBeLessThanOrEqual(OPTIONS.durationMs);
});

test('what a step of each kind really writes is what is expected of it', async () => {
  await using dir = await tempDir();
  const seen = new Set<string>();
  for (let index = 0; index < 12; index += 1) {
    const { request, steps } = planBuild(index, { seed: 5, witnessDir: dir.path });
    for (const [at, expected] of steps.entries()) {
      const spec = request.steps?.[at];
      const [program = '', ...args] = spec?.command ?? [];
      // The pauses of slow steps change nothing about their bytes.
      const quick = args.map((arg) => arg.replaceAll(/sleep [0-9.]+; /g, ''));
      const { status, stdout } = spawnSync(program, quick, { cwd: dir.path, env: { PATH: process.env['PATH'], ...spec?.env } });
      seen.add(expected.kind);
      expect([status, digestOf(stdout)], expected.name).toEqual([expected.kind === 'failing' ? 3 : 0, expected.log]);
      for (const [path, digest] of expected.outputs) expect(digestOf(readFileSync(join(dir.path, path)))).toBe(digest);
    }
  }
  expect([...seen].toSorted()).toEqual(['cacheable', 'effect', 'failing', 'gather', 'plain', 'slow']);
});

test('the command that a report names asks for the same run', () => {
  const options = parseChaosOptions(['--seed', '9', '--duration', '90s', '--faults', 'kill-agent,kill-redis', '--every', '2500ms']);
  const again = parseChaosOptions(commandOf(options).split(' ').slice(4));
  expect(again).toEqual(options);
});

test.each([
  ['--seed', '-1'],
  ['--duration', 'soon'],
  ['--faults', 'kill-everybody'],
  ['--faults', 'partition'],
  ['--ledger', 'paper'],
  ['--rate', '0'],
])('%s %s is refused by name', (option, value) => {
  expect(() => parseChaosOptions([`${option}=${value}`])).toThrow(option);
});

test('packets are dropped only between processes on hosts of their own, which are refused where there can be none', () => {
  const kindsOf = (...argv: readonly string[]) => parseChaosOptions(argv).kinds;
  expect(kindsOf()).not.toContain('loss');
  if (!needs('netns')) return expect(() => kindsOf('--net')).toThrow(/--net.*root/);
  expect(kindsOf('--net').filter((kind) => !kindsOf().includes(kind))).toEqual(['partition', 'one-way', 'loss']);
  expect(kindsOf('--net', '--faults', 'loss')).toEqual(['loss']);
});

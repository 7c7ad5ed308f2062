import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prngFrom } from '../../base/prng.ts';
import type { BuildSnapshot } from '../../cli/build-view.ts';
import { digestOf } from '../../cache/digest.ts';
import { readTopology } from '../../topology/file.ts';
import type { ObservedBuild } from '../chaos/observation.ts';
import { planFaults } from '../chaos/schedule.ts';
import { ROOT } from '../fixtures/root.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { agentsIn, clusterOf, LAB_CLUSTERS } from './clusters.ts';
import { LAB_FAULTS } from './faults.ts';
import { parseLabOptions } from './options.ts';
import { problemsOf } from './outage.ts';
import { labCommandOf } from './report.ts';
import { leaksIn } from './trust.ts';
import { checkPlaces, planLabBuild } from './workload.ts';

test('the topology file says of clusters, zones and pools what the agents of the laboratory are', () => {
  const { topology, problems } = readTopology(readFileSync(join(ROOT, 'test/lab/switchyard.topology.yaml'), 'utf8'));
  expect(problems).toEqual([]);
  expect(topology?.clusters.map(({ name, zone, pools }) => [name, zone, ...pools.map((pool) => pool.name)])).toEqual(
    LAB_CLUSTERS.map(({ name, zone, pool }) => [name, zone, pool]),
  );
  expect(LAB_CLUSTERS.reduce((sum, { agents }) => sum + agents, 0)).toBe(12);
  expect(agentsIn('production').map((agent) => clusterOf(agent)?.zone)).toEqual(['production', 'production', 'production']);
  expect(clusterOf('production-9')).toBeUndefined();
});

test('a seed gives the same builds and faults each time, and the command that a report names gives them again', () => {
  const build = (seed: number) => planLabBuild(3, { seed, witnessDir: '/w' });
  expect(build(7)).toEqual(build(7));
  expect(build(7).request.steps).not.toEqual(build(8).request.steps);
  const options = parseLabOptions(['--seed', '9', '--duration', '2m', '--faults', 'isolate-cluster,kill-leader', '--s3', 'fake']);
  const again = labCommandOf(options).split(' ').slice(4);
  expect(parseLabOptions(again)).toEqual(options);
  const schedule = planFaults(prngFrom(1), { ...options, kinds: LAB_FAULTS, durationMs: 600_000 });
  expect(new Set(schedule.map(({ kind }) => kind))).toEqual(new Set(LAB_FAULTS));
});

test.for([
  ['--faults', 'flood', /--faults: "flood" is no fault/],
  ['--s3', 'minio', /--s3: "minio" must be real or fake/],
  ['--duration', '5', /--duration: "5" must be a duration/],
  ['--seed', '-1', /--seed/],
] as const)('%s %s is refused by name', ([option, value, words]) => {
  expect(() => parseLabOptions([`${option}=${value}`])).toThrow(words);
});

test('what each step of a build really writes is what is expected of it', async () => {
  await using dir = await tempDir();
  const { request, steps } = planLabBuild(2, { seed: 5, witnessDir: dir.path });
  for (const [at, expected] of steps.entries()) {
    const spec = request.steps?.[at];
    const [program = '', ...args] = (spec?.command ?? []).map((word) => word.replaceAll(/sleep [0-9.]+; /g, ''));
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: dir.path, env: { PATH: process.env['PATH'], ...spec?.env } });
    expect(status, stderr.toString()).toBe(0);
    expect(digestOf(stdout), expected.name).toBe(expected.log);
    for (const [path, digest] of expected.outputs) expect(digestOf(readFileSync(join(dir.path, path))), path).toBe(digest);
  }
});

/** A build whose steps ran on these agents, and whose tests made these digests. */
function observed(agents: Readonly<Record<string, string>>, digests: readonly [string, string] = ['d-1', 'd-1']): ObservedBuild {
  const made: Readonly<Record<string, string>> = { 'test-edge': digests[0], 'test-central': digests[1] };
  const steps = Object.entries(agents).map(([name, agent]) => {
    const output = made[name];
    const outputs = output === undefined ? [] : [{ kind: 'file', path: 'x', digest: output, executable: false }];
    return { name, attempts: [{ number: 1, agent }], result: { outputs } };
  });
  // Only what the check looks at.
  const snapshot = { build: {}, steps, cursor: '' } as unknown as BuildSnapshot;
  return { planned: { key: 'k', request: {}, steps: [] }, id: 'b', watched: [], history: [], snapshot, logs: new Map() };
}

const RIGHT = { build: 'central-1', 'test-edge': 'edge-2', 'test-central': 'central-1', parity: 'edge-1', package: 'production-3' };

test.for([
  ['nothing', RIGHT, []],
  ['a production step in the zone trusted', { ...RIGHT, package: 'central-1' }, ['b/package']],
  ['a production step at the edge', { ...RIGHT, package: 'edge-1' }, ['b/package']],
  ['a trusted step in the zone that is for production alone', { ...RIGHT, build: 'production-1' }, ['b/build']],
  ['an untrusted step in the zone that is for production alone', { ...RIGHT, parity: 'production-1' }, ['b/parity']],
  ['a trusted step at the edge', { ...RIGHT, build: 'edge-1' }, ['b/build']],
  ['a test in the other cluster', { ...RIGHT, 'test-edge': 'production-1' }, ['b/test-edge']],
  ['an agent that nobody knows', { ...RIGHT, package: 'production-4' }, ['b/package']],
] as const)('of where steps ran, %s is seen', ([, agents, where]) => {
  expect(checkPlaces(observed(agents)).map((violation) => violation.where)).toEqual(where);
});

test('two clusters that make different bytes of one build are seen', () => {
  expect(checkPlaces(observed(RIGHT, ['d-1', 'd-2']))).toEqual([
    { invariant: 'parity', where: 'b', what: 'two clusters made d-1 and d-2 of one build' },
  ]);
});

test('what was made for the stranger is seen where the team has it, and the other way round it may be', () => {
  const fork = { who: 'fork', where: 'b-1/shared', digest: 'd-1', made: true } as const;
  const main = { who: 'main', where: 'b-2/shared', digest: 'd-2', made: true } as const;
  expect(leaksIn([fork, main, { ...fork, digest: 'd-2', made: false }])).toEqual([]);
  expect(leaksIn([{ ...main, digest: 'd-1', made: false }, fork]).map(({ where }) => where)).toEqual(['b-2/shared']);
});

test('of a build that went on without the store, what is missing at last is seen, and a step that made other bytes when it ran again', () => {
  const ended = (digest: string) => {
    const outputs = [{ kind: 'file', path: 'x', digest, executable: false }];
    return { kind: 'step-ended', cursor: '', atMs: 0, step: 'build', verdict: 'succeeded', result: { outputs } };
  };
  const build = (...digests: readonly string[]): ObservedBuild => {
    // Only what the checks look at.
    const snapshot = { build: { phase: 'ended', verdict: 'succeeded', degraded: [] }, steps: [], cursor: '' } as unknown as BuildSnapshot;
    return { ...observed({}), snapshot, history: digests.map(ended) as unknown as ObservedBuild['history'] };
  };
  expect(problemsOf(build('d-1', 'd-1'))).toEqual([]);
  expect(problemsOf(build('d-1', 'd-2'))).toEqual([{ invariant: 'whole', where: 'b/build', what: 'made 2 different outputs' }]);
  expect(problemsOf({ ...build('d-1'), snapshot: undefined })).toMatchObject([{ invariant: 'whole', where: 'b' }]);
});

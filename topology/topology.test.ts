import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { formatProblem } from '../base/document/problem.ts';
import { atLeast, parseZone, ZONES } from '../base/zone.ts';
import { topologySchemaText } from '../cli/commands/topology.ts';
import { readTopology, TOPOLOGY_CHARS_MAX, topologySchema } from './file.ts';
import { membershipOf } from './membership.ts';
import { canaryRules, OPEN_TOPOLOGY, type Topology } from './model.ts';
import { flagValues, overdueFlags } from './settings.ts';
import { breaksRule } from './submission.ts';
import { changesBetween } from './words.ts';

const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(topologySchema());

const FLAG = 'owner: ann, expires: 2027-01-01';

const WHOLE = `version: 1
unlisted: accept
clusters:
  edge:
    zone: untrusted
    region: eu-west
    pools:
      arm: {class: edge, labels: "arch=arm64", price: 0.25, limits: {steps: 40, cpu: 2.5, memory: 8Gi}, canary: {every: 1m}}
      light: {class: edge, sandbox: [isolatesHost]}
    spill: {after: 10s, to: [centre]}
  centre: {zone: trusted}
zones:
  production: {inputs: trusted, exclusive: true}
canaries: {every: 5m}
projects:
  web: {weight: 2.5, unfinishedSteps: 100, quota: {steps: 4, cpu: 2.5}, home: edge}
  "*": {weight: 0.5}
environments:
  staging: {labels: "cluster=edge", params: {url: "https://staging.example", workers: 2, dry: true}}
  live: {zone: trusted, about: what customers see}
flags:
  level: {type: choice, values: [low, high], default: low, owner: ann, expires: 2027-03-31, environments: {staging: high}}
  fast: {type: boolean, default: false, owner: the web team, expires: 2026-12-31, about: the new builder}
builds:
  names: ["web-*", infra]
  labels:
    team: {values: [web, "core-*"], about: who pays}
    ticket: {}
`;

function topologyOf(text: string): Topology {
  const { topology, problems } = readTopology(text);
  if (topology === undefined) throw new Error(problems.map((problem) => formatProblem('t', problem)).join('\n'));
  return topology;
}

describe('the file', () => {
  test('is read with its defaults, and survives being kept as JSON', () => {
    const topology = topologyOf(WHOLE);
    expect(JSON.parse(JSON.stringify(topology))).toEqual(topology);
    expect(topology.clusters.map(({ name, zone, region }) => [name, zone, region])).toEqual([
      ['edge', 'untrusted', 'eu-west'],
      ['centre', 'trusted', undefined],
    ]);
    const limits = { steps: 40, cpuMillis: 2_500, memoryBytes: 8 * 2 ** 30 };
    expect(topology.clusters[0]?.pools[0]).toEqual({
      name: 'arm',
      class: 'edge',
      selector: 'arch=arm64',
      sandbox: [],
      price: 0.25,
      limits,
      canary: { everyMs: 60_000 },
    });
    expect(topology.canaries).toEqual({ everyMs: 300_000 });
    const canaries = ['edge/arm', 'edge/light', 'centre/any'].map((place) => canaryRules(topology, place)?.everyMs);
    expect(canaries).toEqual([60_000, 300_000, 300_000]);
    expect(canaryRules({ ...topology, canaries: { everyMs: 0 } }, 'edge/light')).toBeUndefined();
    expect(topology.clusters[0]?.spill).toEqual({ afterMs: 10_000, to: ['centre'] });
    expect(topology.zones).toEqual({ production: { inputs: 'trusted', exclusive: true } });
    expect(topology.projects['web']).toEqual({
      weight: 2.5,
      unfinishedSteps: 100,
      quota: { steps: 4, cpuMillis: 2_500 },
      home: 'edge',
    });
    expect(topologyOf('version: 1')).toEqual({ ...OPEN_TOPOLOGY, unlisted: 'refuse', zones: {} });
  });

  test.for([
    [
      'clusters: {a: {zone: trustd}}',
      't:2:22: error: clusters.a.zone: "trustd" is not one of untrusted, trusted, production\n    fix: Did you mean "trusted"?',
    ],
    ['clusters: {a: {region: eu}}', 't:2:15: error: clusters.a.zone: is missing'],
    [
      'clusters: {a: {zone: trusted, pols: {}}}',
      't:2:31: error: clusters.a.pols: there is no field "pols"\n    fix: Did you mean "pools"?',
    ],
    ['projects: {web: {weight: 0}}', 't:2:26: error: projects.web.weight: 0 is not a number from 0.01 to 1000'],
    ['builds: {names: "[a-z]"}', 't:2:17: error: builds.names: "[a-z]" is no glob'],
    ['clusters: {a: {zone: trusted, pools: {p: {class: edge, labels: "arch="}}}}', 't:2:64: error: clusters.a.pools.p.labels: '],
    ['clusters: {a: {zone: "${{ params.zone }}"}}', 't:2:22: error: clusters.a.zone: "${{ params.zone }}" is not one of'],
    [
      'clusters: {near: {zone: trusted, spill: {to: [near, naer]}}}',
      't:2:53: error: clusters.near.spill.to[1]: the file lists no cluster "naer"\n    fix: Did you mean "near"?',
    ],
    ['projects: {web: {home: x}}', 't:2:24: error: projects.web.home: the file lists no cluster "x"'],
    ['gates: {}', 't:2:1: error: gates: there is no field "gates"'],
    ['environments: {a: {params: {name: x}}}', 't:2:35: error: environments.a.params.name: is taken'],
    [`flags: {f: {${FLAG}, type: boolean, default: 1}}`, 'error: flags.f.default: must be true or false, but is 1'],
    [`flags: {f: {${FLAG}, type: choice, default: a}}`, 'error: flags.f.values: is missing: a choice needs values'],
    [
      `flags: {f: {${FLAG}, type: string, values: [a], default: a}}`,
      'error: flags.f.values: only a choice has values\n    fix: Write type: choice.',
    ],
    ['flags: {f: {type: integer, default: 1, expires: 2027-01-01}}', 'error: flags.f.owner: is missing'],
    ['flags: {f: {type: integer, default: 1, owner: ann}}', 'error: flags.f.expires: is missing'],
    [
      'flags: {f: {type: integer, default: 1, owner: ann, expires: 2027-02-30}}',
      'flags.f.expires: "2027-02-30" is no day such as 2027-03-31',
    ],
    [
      `environments: {staging: {}}\nflags: {f: {${FLAG}, type: integer, default: 1, environments: {stagng: 1.5}}}`,
      'flags.f.environments.stagng: the topology has no environment "stagng"\n    fix: Did you mean "staging"? There are staging.',
    ],
    [
      `environments: {staging: {}}\nflags: {f: {${FLAG}, type: integer, default: 1, environments: {staging: 1.5}}}`,
      'flags.f.environments.staging: must be a whole number, but is 1.5',
    ],
  ])('names place, field and fix: %s', ([wrong = '', message = '']) => {
    const { topology, problems } = readTopology(`version: 1\n${wrong}\n`);
    expect(topology).toBeUndefined();
    expect(problems.map((problem) => formatProblem('t', problem)).join('\n')).toContain(message);
    // Globs, selectors and names of clusters are more than a pattern can say.
    if (!/names|arch|spill|home|params: \{name|default: a|default: 1[,}]|2027-02-30/.test(wrong))
      expect(validate(parse(`version: 1\n${wrong}\n`))).toBe(false);
  });

  test('has a JSON Schema that takes what the reader takes, and is what "topology schema" prints', () => {
    expect(validate(parse(WHOLE)), JSON.stringify(validate.errors)).toBe(true);
    const file = path.join(import.meta.dirname, '../docs/switchyard.topology.schema.json');
    expect(readFileSync(file, 'utf8')).toBe(topologySchemaText());
    expect(topologySchemaText()).not.toContain('{{');
  });

  test('is refused where it is too long or empty', () => {
    expect(readTopology('').problems[0]?.hint).toContain('version: 1');
    expect(readTopology(`version: 1\n#${' '.repeat(TOPOLOGY_CHARS_MAX)}`).problems[0]?.message).toContain('at most');
  });
});

describe('an agent', () => {
  const agent = (labels: Readonly<Record<string, string>>) => ({ labels, sandbox: ['isolatesHost'] as const });

  test('is of the pool that its credential names, if it has what that asks for', () => {
    const topology = topologyOf(WHOLE);
    expect(membershipOf(topology, agent({ cluster: 'edge', pool: 'light', zone: 'untrusted' }))).toMatchObject({ pool: { name: 'light' } });
    const found = membershipOf(
      topology,
      agent({ cluster: 'edge', pool: 'arm', zone: 'trusted', arch: 'arm64', region: 'mine', class: 'central' }),
    );
    expect(found).toMatchObject({
      kind: 'member',
      labels: { pool: 'arm', zone: 'untrusted', region: 'eu-west', class: 'edge', arch: 'arm64' },
    });
    expect(membershipOf(topology, { labels: { cluster: 'edge', pool: 'arm', arch: 'amd64' }, sandbox: [] })).toEqual({
      kind: 'outsider',
      why: 'pool edge/arm asks for arch=arm64, but arch is amd64',
    });
    expect(membershipOf(topology, agent({ cluster: 'edge', pool: 'lihgt' }))).toMatchObject({
      why: expect.stringContaining('(but light)'),
    });
    expect(membershipOf(topology, agent({ cluster: 'elsewhere', pool: 'x' }))).toMatchObject({ kind: 'member', pool: undefined });
    expect(membershipOf({ ...topology, unlisted: 'refuse' }, agent({ cluster: 'egde' }))).toMatchObject({ kind: 'outsider' });
  });

  test('never counts as a higher zone than its credential or its cluster says', () => {
    const zone = fc.constantFrom(...ZONES);
    fc.assert(
      fc.property(zone, zone, fc.boolean(), fc.constantFrom('accept', 'refuse'), (own, ceiling, listed, unlisted) => {
        const clusters = listed ? [{ name: 'c', zone: ceiling, pools: [] }] : [];
        const place = membershipOf({ ...OPEN_TOPOLOGY, unlisted, clusters }, agent({ cluster: 'c', pool: 'p', zone: own }));
        if (place.kind === 'outsider') return !listed && unlisted === 'refuse';
        const is = parseZone(place.labels['zone'] ?? '') ?? 'production';
        return atLeast(own, is) && (!listed || atLeast(ceiling, is));
      }),
    );
  });
});

test('a build must be called and labelled as the rules say, and is told what is missing', () => {
  const { builds } = topologyOf(WHOLE);
  const labels = { team: 'core-db', ticket: 'T-1' };
  expect(breaksRule(builds, { name: 'web-shop', labels })).toBeUndefined();
  expect(breaksRule(builds, { name: 'infra', labels })).toBeUndefined();
  expect(breaksRule(builds, { name: 'shop', labels })).toEqual({
    field: 'name',
    message: 'The build is called "shop", but here builds are called one of web-*, infra',
  });
  expect(breaksRule(builds, { name: 'infra', labels: { ticket: '' } })?.message).toBe(
    'The build lacks the label team (who pays), which is one of web, core-*: give it in the pipeline file or with --label',
  );
  expect(breaksRule(builds, { name: 'infra', labels: { ...labels, team: 'db' } })?.message).toContain('is "db", but it must be one of');
  expect(breaksRule(builds, { name: 'infra', labels: { team: 'web' } })?.message).toContain('lacks the label ticket');
});

test('what changes is said in words, and nothing where nothing does', () => {
  const before = topologyOf(WHOLE);
  expect(changesBetween(before, topologyOf(`${WHOLE}# a remark\n`))).toEqual([]);
  const after = topologyOf(
    WHOLE.replace('arch=arm64', 'arch=riscv64')
      .replace('centre: {zone: trusted}', 'release: {zone: production, pools: {sign: {class: central}}}')
      .replace('weight: 2.5, unfinishedSteps: 100, quota: {steps: 4, cpu: 2.5}, home: edge', 'weight: 3, unfinishedSteps: 100')
      .replace('price: 0.25, limits: {steps: 40, cpu: 2.5, memory: 8Gi}, canary: {every: 1m}', 'limits: {steps: 50}')
      .replace('spill: {after: 10s, to: [centre]}', 'spill: {to: [release]}')
      .replace('inputs: trusted, exclusive: true', '')
      .replace('unlisted: accept\n', '')
      .replace('    ticket: {}\n', ''),
  );
  expect(changesBetween(before, after)).toEqual([
    'agents of clusters that are not listed: accept becomes refuse',
    'cluster centre goes',
    'spill of the cluster edge: centre after 10s becomes release at once',
    'labels of the pool edge/arm: arch=arm64 becomes arch=riscv64',
    'price of the pool edge/arm: 0.25 becomes 0',
    'canary builds of the pool edge/arm: every 1m becomes as by default',
    'limits of the pool edge/arm: 40 steps, 2500m CPU, 8Gi of memory becomes 50 steps',
    'cluster release is new (production, pools sign)',
    'lowest zone of inputs of steps for production: trusted becomes production',
    'what agents of the zone production run: only steps for production becomes steps for lower zones too',
    'weight of the project web: 2.5 becomes 3',
    'quota of the project web: 4 steps, 2500m CPU becomes none',
    'home of the project web: edge becomes nothing',
    'required label ticket goes',
  ]);
});

describe('environments and flags', () => {
  test('flags have the value of the environment, else their default', () => {
    const topology = topologyOf(WHOLE);
    expect(topology.environments).toEqual({
      staging: { selector: 'cluster=edge', params: { url: 'https://staging.example', workers: 2, dry: true } },
      live: { selector: '', zone: 'trusted', params: {}, about: 'what customers see' },
    });
    expect(flagValues(topology, 'staging')).toEqual({ level: 'high', fast: false });
    expect(flagValues(topology, 'live')).toEqual({ level: 'low', fast: false });
    expect(flagValues(topology, '')).toEqual({ level: 'low', fast: false });
    expect(flagValues(OPEN_TOPOLOGY, '')).toEqual({});
  });

  test('a flag is overdue once its last day is over', () => {
    const topology = topologyOf(WHOLE);
    expect(overdueFlags(topology, Date.UTC(2026, 11, 31, 23, 59, 59, 999))).toEqual([]);
    expect(overdueFlags(topology, Date.UTC(2027, 0, 1))).toEqual([
      { name: 'fast', words: 'the flag "fast" of the web team expired after 2026-12-31' },
    ]);
    expect(overdueFlags(topology, Date.UTC(2027, 3, 1)).map(({ name }) => name)).toEqual(['level', 'fast']);
  });

  test('are told where they change, each value by itself', () => {
    const before = topologyOf(WHOLE);
    const after = topologyOf(
      WHOLE.replace('cluster=edge', 'cluster=centre')
        .replace('workers: 2, dry: true', 'workers: "2"')
        .replace('default: false, owner: the web team', 'default: true, owner: bob')
        .replace('{staging: high}', '{live: high}')
        .replace('zone: trusted, about', 'about'),
    );
    expect(changesBetween(before, after)).toEqual([
      'zone of the environment live: trusted becomes nothing',
      'labels of the environment staging: cluster=edge becomes cluster=centre',
      'value dry of the environment staging: true becomes nothing',
      'value workers of the environment staging: 2 becomes "2"',
      'default of the flag fast: false becomes true',
      'owner of the flag fast: the web team becomes bob',
      'value live of the flag level: nothing becomes "high"',
      'value staging of the flag level: "high" becomes nothing',
    ]);
    expect(changesBetween(OPEN_TOPOLOGY, before)).toEqual(
      expect.arrayContaining(['environment staging is new', 'flag fast is new (of the web team, until 2026-12-31)']),
    );
  });
});

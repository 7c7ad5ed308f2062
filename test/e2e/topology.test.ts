import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { runSwitchyard, startSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { startRealYard, writeFiles } from './real-yard.ts';

const never = new AbortController().signal;

const PIPELINE = `version: 1
name: web-shop
labels: {team: web}
defaults: {timeout: 2m}
steps:
  compile: {run: 'cat src.txt src.txt > program', inputs: [src.txt], outputs: [program]}
  try: {run: 'grep -q shop program && echo fine > report', needs: compile, labels: 'class=edge', outputs: [report]}
  sign: {run: 'cat program report > signed', needs: [compile, try], labels: 'class=central', zone: trusted, outputs: [signed]}
`;

const TOPOLOGY = `version: 1
clusters:
  edge:
    zone: untrusted
    region: eu-west
    pools: {light: {class: edge}}
  centre:
    zone: trusted
    pools: {big: {class: central, labels: size=big}}
  release:
    zone: production
    pools: {signers: {class: central}}
zones: {trusted: {inputs: untrusted}}
projects: {shop: {weight: 3, home: edge}}
builds: {names: web-*, labels: {team: {values: [web, core]}}}
`;

/** What the agents' credentials say; the last one's own labels are not what its pool asks for. */
const AGENTS = {
  e1: { cluster: 'edge', pool: 'light', zone: 'untrusted' },
  c1: { cluster: 'centre', pool: 'big', zone: 'trusted', label: 'size=big' },
  r1: { cluster: 'release', pool: 'signers', zone: 'production' },
  stray: { cluster: 'centre', pool: 'big', zone: 'trusted', label: 'size=small' },
} as const;

async function startClusters() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const tokensFile = join(dir.path, 'tokens.json');
  const person = {
    name: 'ann',
    sha256: hashToken('ann'),
    kind: 'caller',
    role: 'admin',
    project: 'shop',
    scope: 'main',
    zoneCeiling: 'trusted',
  };
  const agents = Object.entries(AGENTS).map(([name, { cluster, pool, zone }]) => {
    return { name, sha256: hashToken(`token-of-${name}`), kind: 'agent', cluster, pool, zone };
  });
  writeFileSync(tokensFile, JSON.stringify([person, ...agents]), { mode: 0o600 });
  const yard = stack.use(await startRealYard({ agents: [], coordinatorArgs: ['--tokens-file', tokensFile] }));
  for (const [name, who] of Object.entries(AGENTS)) {
    const own = ['--coordinator', yard.address, '--id', name, '--work-dir', join(yard.dir, name), '--slots', '2'];
    const label = 'label' in who ? ['--label', who.label] : [];
    const env = { SWITCHYARD_AGENT_TOKEN: `token-of-${name}` };
    stack.use(startSwitchyard(['agent', ...own, ...label], { cwd: yard.dir, env }));
  }
  const as = async (...args: readonly string[]) =>
    runSwitchyard([...args, ...yard.at], { cwd: yard.work, env: { SWITCHYARD_TOKEN: 'ann' } });
  await until('all agents are there', async () => {
    const { agents: known } = await yard.server.agents(never);
    return known.filter(({ connected }) => connected).length === agents.length;
  });
  const kept = stack.move();
  return { yard, as, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const agentOf = (
  snapshot: { readonly steps: readonly { readonly name: string; readonly attempts: readonly { readonly agent: string }[] }[] },
  step: string,
) => snapshot.steps.find(({ name }) => name === step)?.attempts.at(-1)?.agent;

test(
  'one pipeline, unchanged, runs on the yard of one host and on three clusters, each step where the topology lets it, with equal outputs',
  async () => {
    await using clusters = await startClusters();
    const { yard, as } = clusters;
    await writeFiles(yard.work, { 'switchyard.yaml': PIPELINE, 'src.txt': 'shop\n', 'switchyard.topology.yaml': TOPOLOGY });
    const embedded = await runSwitchyard(['run', '--embedded', '--sandbox', 'process', '-o', 'json'], { cwd: yard.work });
    expect(embedded.code, embedded.stderr).toBe(0);
    expect((await as('topology', 'apply', '--reason', 'three clusters')).code).toBe(0);
    const run = await as('run', '-o', 'json');
    expect(run.code, run.stderr).toBe(0);
    const outputs = (text: string) =>
      new Set([...text.matchAll(/"path":\s*"([a-z]+)",\s*"digest":\s*"([0-9a-f-]+)"/g)].map(([, file, digest]) => `${file} ${digest}`));
    expect(outputs(run.stdout)).toEqual(outputs(embedded.stdout));
    expect(outputs(run.stdout).size, run.stdout).toBe(3);
    const build = /"build":"(b-[0-9a-z]+)"/.exec(run.stdout)?.[1] ?? '';
    const shown = await as('show', build, '-o', 'json');
    const snapshot = JSON.parse(shown.stdout);
    expect(agentOf(snapshot, 'try')).toBe('e1');
    expect(['c1', 'r1']).toContain(agentOf(snapshot, 'sign'));
    expect(agentOf(snapshot, 'compile')).not.toBe('stray');
  },
  PATIENCE_MS * 4,
);

test(
  'a topology is validated, planned, applied, listed and rolled back from the command line, and outlives the coordinator',
  async () => {
    await using clusters = await startClusters();
    const { yard, as } = clusters;
    const file = join(yard.work, 'switchyard.topology.yaml');
    writeFileSync(file, TOPOLOGY.replace('zone: untrusted', 'zone: untrustd'));
    const wrong = await as('topology', 'plan');
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('switchyard.topology.yaml:4:11: error: clusters.edge.zone') });
    expect(await runSwitchyard(['topology', 'validate'], { cwd: yard.work })).toMatchObject({ code: 2, stderr: wrong.stderr });

    writeFileSync(file, TOPOLOGY);
    const plan = await as('topology', 'plan');
    expect(plan.code, plan.stderr).toBe(0);
    expect(plan.stdout).toContain('cluster edge is new (untrusted, region eu-west, pools light)');
    expect(plan.stdout).toContain('agent stray: gets no work any more: pool centre/big asks for size=big, but size is small');
    expect((await as('topology', 'history')).stderr).toContain('No topology was applied yet.');
    expect((await as('topology', 'apply', '--base', 'none')).code).toBe(0);
    writeFileSync(file, TOPOLOGY.replace('weight: 3', 'weight: 4'));
    expect(await as('topology', 'apply', '--base', 'none')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('The topology has changed since: revision 1'),
    });
    expect((await as('topology', 'apply', '--dry-run')).stdout).toBe('weight of the project shop: 3 becomes 4\n');
    expect((await as('topology', 'apply', '--reason', 'more for the shop')).stderr).toContain('Revision 2 is in force.');

    await yard.killCoordinator();
    expect((await as('topology', 'rollback', '1')).stderr).toContain('Revision 3 is in force.');
    const history = await as('topology', 'history');
    expect(
      history.stdout
        .split('\n')
        .map((line) => line.replace(/^([0-9]+) +\S+ +\S+ +ann/, '$1 ann').replace(/ +/g, ' '))
        .slice(1, 4),
    ).toEqual(['3 ann rollback to 1', '2 ann more for the shop', '1 ann']);
    expect((await as('topology', 'show')).stdout).toBe(TOPOLOGY);
    expect(readFileSync(file, 'utf8')).toContain('weight: 4');
    await until('the agent that gets nothing is back, and told so', async () => {
      const agents = await as('agents', '-o', 'json');
      const stray = JSON.parse(agents.stdout).agents.find(({ agent }: { agent: string }) => agent === 'stray');
      return stray.keptFrom.includes('pool centre/big asks for size=big');
    });

    await writeFiles(yard.work, { 'switchyard.yaml': PIPELINE.replace('web-shop', 'shop'), 'src.txt': 'shop\n' });
    expect(await as('run')).toMatchObject({ code: 1, stderr: expect.stringContaining('here builds are called web-*') });
  },
  PATIENCE_MS * 4,
);

const ENVIRONMENTS = `environments:
  staging: {labels: cluster=edge, params: {url: "https://staging.example"}}
  live: {labels: cluster=centre, zone: trusted, params: {url: "https://example.org"}}
  vault: {zone: production, params: {url: "https://vault.example"}}
flags:
  fast: {type: boolean, default: false, owner: ann, expires: 9999-12-31, environments: {staging: true}}
`;

const DEPLOYMENT = `version: 1
name: web-deployment
labels: {team: web}
defaults: {timeout: 2m}
steps:
  compile: {run: 'echo program > program', outputs: [program], cache: false, environment: false, labels: cluster=edge}
  deploy: {run: 'cat program; echo "to <\${{ environment.url }}> fast <\${{ flags.fast }}>"', needs: compile}
`;

test(
  'one pipeline, unchanged, is for many environments: each places its steps and gives them its values, and none is needed',
  async () => {
    await using clusters = await startClusters();
    const { yard, as } = clusters;
    const file = join(yard.work, 'switchyard.topology.yaml');
    await writeFiles(yard.work, { 'switchyard.yaml': DEPLOYMENT, 'switchyard.topology.yaml': TOPOLOGY + ENVIRONMENTS });
    const deploy = async (...args: readonly string[]) => {
      const run = await as('run', '-o', 'json', ...args);
      expect(run.code, run.stderr).toBe(0);
      const build = /"build":"(b-[0-9a-z]+)"/.exec(run.stdout)?.[1] ?? '';
      const log = await as('logs', build, 'deploy');
      const shown = JSON.parse((await as('show', build, '-o', 'json')).stdout);
      return { agent: agentOf(shown, 'deploy'), producer: agentOf(shown, 'compile'), log: log.stdout };
    };
    expect((await deploy()).log).toContain('to <> fast <>');
    expect((await as('topology', 'apply')).code).toBe(0);
    const staging = await deploy('--environment', 'staging');
    expect(staging).toMatchObject({
      agent: 'e1',
      producer: 'e1',
      log: expect.stringContaining('to <https://staging.example> fast <true>'),
    });
    const live = await deploy('--environment', 'live');
    expect(live).toMatchObject({ agent: 'c1', producer: 'e1', log: expect.stringContaining('to <https://example.org> fast <false>') });
    expect((await deploy()).log).toContain('to <> fast <false>');

    expect(await as('run', '--environment', 'vault')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the environment vault is in the zone production, but the caller's steps may run in trusted at most"),
    });
    const unknown = await as('run', '--environment', 'lve');
    expect(unknown.code).not.toBe(0);
    expect(unknown.stderr).toContain('the topology has no environment "lve"');
    expect(unknown.stderr).toContain('Did you mean "live"? There are staging, live, vault.');

    writeFileSync(file, TOPOLOGY + ENVIRONMENTS.replace('9999-12-31', '2020-02-29'));
    expect(await as('topology', 'plan')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the flag "fast" of ann expired after 2020-02-29'),
    });
    const refused = await as(
      'topology',
      'apply',
      '--base',
      createHash('sha256')
        .update(TOPOLOGY + ENVIRONMENTS)
        .digest('hex'),
    );
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('the flag "fast" of ann expired after 2020-02-29');
  },
  PATIENCE_MS * 4,
);

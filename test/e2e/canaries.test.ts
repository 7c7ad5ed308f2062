import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { freePorts } from '../fixtures/ports.ts';
import { runSwitchyard, startSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { endOf, startRealYard, writeFiles } from './real-yard.ts';

const never = new AbortController().signal;

/** The home of the project is the pool that breaks: without canaries its steps would go there first. */
const TOPOLOGY = `version: 1
clusters:
  edge: {zone: trusted, pools: {light: {class: edge}}}
  centre: {zone: trusted, pools: {big: {class: central}}}
projects: {local: {home: edge}}
canaries: {every: 2s, timeout: 2m}
`;

const AGENTS = { e1: { cluster: 'edge', pool: 'light' }, c1: { cluster: 'centre', pool: 'big' } } as const;

async function startPools(port: number) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const tokensFile = join(dir.path, 'tokens.json');
  const agents = Object.entries(AGENTS).map(([name, place]) => ({
    name,
    sha256: hashToken(`of-${name}`),
    kind: 'agent',
    ...place,
    zone: 'trusted',
  }));
  await writeFile(tokensFile, JSON.stringify(agents), { mode: 0o600 });
  const coordinatorArgs = ['--tokens-file', tokensFile, '--metrics-listen', `127.0.0.1:${port}`];
  const yard = stack.use(await startRealYard({ agents: [], coordinatorArgs }));
  for (const name of Object.keys(AGENTS)) {
    const own = ['--coordinator', yard.address, '--id', name, '--work-dir', join(yard.dir, name), '--slots', '2'];
    stack.use(startSwitchyard(['agent', ...own], { cwd: yard.dir, env: { SWITCHYARD_AGENT_TOKEN: `of-${name}` } }));
  }
  await until(
    'the agents are there',
    async () => (await yard.server.agents(never)).agents.filter(({ connected }) => connected).length === 2,
  );
  const kept = stack.move();
  return { yard, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

test(
  'a pool that breaks is found by its canary, and steps of users go to the other one without having failed',
  { timeout: 240_000 },
  async () => {
    const [port = 0] = await freePorts(1);
    await using pools = await startPools(port);
    const { yard } = pools;
    const metric = async (name: string) => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1];
    };
    const whyOf = async (name: string) => (await yard.server.agents(never)).pools.find((pool) => pool.name === name)?.why;
    const attempts = async () => Number(await metric('switchyard_attempts_total{class="succeeded"}'));
    await writeFiles(yard.work, { 'switchyard.topology.yaml': TOPOLOGY });
    const applied = await runSwitchyard(['topology', 'apply', ...yard.at], { cwd: yard.work });
    expect(applied.stderr + applied.stdout).toContain('canary builds: as by default becomes every 2s, for at most 2m');
    // Real canaries run well in both pools, and nobody sees them.
    await until('canaries have run', async () => (await attempts()) >= 4);
    expect([await whyOf('edge/light'), await whyOf('centre/big')]).toEqual(['', '']);
    const listed = await runSwitchyard(['builds', ...yard.at], { cwd: yard.work });
    expect(listed.stdout).not.toContain('canary');
    // No step can be given a directory at this agent any more.
    await rm(join(yard.dir, 'e1', 'workspaces'), { recursive: true });
    await writeFile(join(yard.dir, 'e1', 'workspaces'), 'in the way');
    const why = await until('the pool is degraded', async () => {
      const said = await whyOf('edge/light');
      return said?.includes('is degraded') === true && said;
    });
    expect(why).toContain('on agent e1');
    expect(await metric('switchyard_pool_degraded{pool="edge/light"}')).toBe('1');
    expect(await metric('switchyard_pool_degraded{pool="centre/big"}')).toBe('0');
    expect((await runSwitchyard(['agents', ...yard.at], { cwd: yard.work })).stdout).toContain('pool edge/light is degraded');
    const { id } = await yard.server.submit({ name: 'users', idempotencyKey: 'u', steps: [{ name: 's', command: ['true'] }] }, never);
    const { steps } = await endOf(yard.server, id);
    expect(steps[0]).toMatchObject({ verdict: 'succeeded' });
    expect(steps[0]?.attempts).toMatchObject([{ agent: 'c1' }]);
    // A step for this pool alone waits, and runs once the pool works again.
    const pinned = { name: 's', command: ['true'], selector: 'pool=light' };
    const waiting = await yard.server.submit({ name: 'pinned', idempotencyKey: 'p', steps: [pinned] }, never);
    await until('explain says why', async () => {
      const { reasons } = await yard.server.explain(waiting.id, 's', never);
      return reasons.some((reason) => reason.includes('pool edge/light is degraded'));
    });
    await rm(join(yard.dir, 'e1', 'workspaces'));
    await mkdir(join(yard.dir, 'e1', 'workspaces'));
    const after = await endOf(yard.server, waiting.id);
    expect(after.steps[0]?.attempts).toMatchObject([{ agent: 'e1' }]);
    expect(await whyOf('edge/light')).toBe('');
  },
);

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildSnapshot, StepView } from '../../../cli/build-view.ts';
import { connectBuildServer, type BuildServer } from '../../../cli/rpc/client.ts';
import type { StepSpec } from '../../../proto/gen/switchyard/v1/StepSpec.ts';
import { leaderOf, startYard, type CoordinatorMember, type Yard, type YardOptions } from '../../chaos/yard.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { until } from '../../fixtures/until.ts';

const CALL_MS = 5_000;

/** A yard on Redis whose parts can be broken one by one, with a caller's view of each coordinator. */
export interface FaultYard extends AsyncDisposable {
  readonly dir: string;
  readonly yard: Yard;
  /** The Build service of the coordinator that leads now. */
  leader(): Promise<CoordinatorMember>;
  serverOf(coordinator: CoordinatorMember): BuildServer;
  /** Asks one coordinator after the other until one answers. */
  ask<T>(use: (server: BuildServer, signal: AbortSignal) => Promise<T>): Promise<T>;
  submit(key: string, steps: readonly StepSpec[]): Promise<string>;
  snapshot(build: string): Promise<BuildSnapshot>;
  step(build: string, name: string): Promise<StepView>;
  /** The build at its end. */
  end(build: string): Promise<BuildSnapshot>;
  running(build: string, step: string): Promise<void>;
}

const DEFAULTS = { agents: 2, coordinators: 2, ledger: 'redis', leaseTtlMs: 6_000, termTtlMs: 1_500, retentionMs: 600_000 } as const;

/** Starts it; ready when all agents are registered. */
export async function startFaultYard(options: Partial<YardOptions> = {}): Promise<FaultYard> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const yard = stack.use(await startYard({ ...DEFAULTS, smallDisks: false, ...options, dir: dir.path }));
  const servers = new Map(
    yard.coordinators.map((one) => [one, stack.use(connectBuildServer({ address: one.address, token: yard.token }))] as const),
  );
  const serverOf = (coordinator: CoordinatorMember): BuildServer => {
    const server = servers.get(coordinator);
    if (server === undefined) throw new Error('It is of another yard');
    return server;
  };
  let turn = 0;
  const ask: FaultYard['ask'] = (use) => {
    const all = [...servers.values()];
    return until('a coordinator answers', async () => {
      const server = all[(turn += 1) % all.length];
      return server === undefined ? undefined : { answer: await use(server, AbortSignal.timeout(CALL_MS)) };
    }).then(({ answer }) => answer);
  };
  const snapshot = (build: string) => ask((server, signal) => server.snapshot(build, signal));
  const step = async (build: string, name: string): Promise<StepView> => {
    const found = (await snapshot(build)).steps.find((one) => one.name === name);
    if (found === undefined) throw new Error(`There is no step ${name}`);
    return found;
  };
  const count = options.agents ?? DEFAULTS.agents;
  const agents = async () => (await ask((server, signal) => server.agents(signal))).agents.filter(({ connected }) => connected);
  await until('all agents are there', async () => (await agents()).length === count);
  const kept = stack.move();
  return {
    dir: dir.path,
    yard,
    serverOf,
    leader: () => until('somebody leads', () => leaderOf(yard)),
    ask,
    submit: (key, steps) => ask(async (server, signal) => (await server.submit(requestOf(key, steps), signal)).id),
    snapshot,
    step,
    end: (build) =>
      until(`${build} ends`, async () => {
        const seen = await snapshot(build);
        return seen.build.phase === 'ended' && seen;
      }),
    running: (build, name) => until(`${name} runs`, async () => (await step(build, name)).startedAtMs !== undefined).then(() => undefined),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export function requestOf(key: string, steps: readonly StepSpec[]) {
  return { idempotencyKey: key, name: key, weight: 1, steps: [...steps] };
}

/** A step without side effects that is never answered from the cache. */
export function stepThat(script: string, more: StepSpec = {}): StepSpec {
  return { name: 'a', command: ['sh', '-ec', script], sideEffects: false, cacheable: false, graceMs: 1_000, ...more };
}

/** A step that runs until its gate is opened; the `process` sandbox shows it the host's files. */
export function gated(dir: string, name: string): { readonly script: string; readonly open: () => void } {
  const path = join(dir, `gate-${name}`);
  const script = `echo begin; while [ ! -e '${path}' ]; do sleep 0.05; done; echo end`;
  return { script, open: () => closeSync(openSync(path, 'w')) };
}

/** Whether a line of the member's log has all of these. */
export function hasLogged(member: { readonly process: { stderr(): string } }, ...words: readonly string[]): boolean {
  return member.process
    .stderr()
    .split('\n')
    .some((line) => words.every((word) => line.includes(word)));
}

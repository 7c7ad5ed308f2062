import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashToken } from '../../base/auth.ts';
import { connectBuildServer, type BuildServer } from '../../cli/rpc/client.ts';
import { freePorts } from '../fixtures/ports.ts';
import { startSwitchyard, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { startLoadAgents, type LoadAgents } from './load-agent-processes.ts';
import { hostMicros } from './host-micros.ts';
import { openLoop, untilStarted, type Drain, type Subject } from './subject.ts';

export const SLOTS = 4;

/** Where builds are kept: SQLite below the yard's directory, or a Redis at an address. */
export type LedgerPlace = { readonly kind: 'sqlite' } | { readonly kind: 'redis'; readonly url: string };

export type BenchYardPlan = {
  readonly ledger: LedgerPlace;
  /** Coordinators; more than one needs Redis. @default 1 */
  readonly coordinators?: number;
  /** Clusters whose agents have tokens of their own, `bench-0` and so on. @default none */
  readonly clusters?: number;
  /** The zone of each of the plan's clusters. @default production for all */
  readonly zones?: readonly string[];
  /** More options of each coordinator. */
  readonly flags?: readonly string[];
  /** Variables of each coordinator. */
  readonly env?: Readonly<Record<string, string>>;
};

export type BenchCoordinator = {
  readonly process: RunningProcess;
  readonly address: string;
  /** Where it serves its metrics. */
  readonly metrics: string;
};

export interface BenchYard extends AsyncDisposable {
  /** In the order of their start. */
  readonly coordinators: readonly BenchCoordinator[];
  /** All addresses, with commas between them. */
  readonly address: string;
  /** What agents show. */
  readonly token: string;
  /** What agents of each of the plan's clusters show. */
  readonly tokens: readonly string[];
  readonly server: BuildServer;
  readonly dir: string;
  /** Starts the coordinator of that number again, where it was: it has ended. */
  restart(index: number): Promise<void>;
}

/** Real coordinator processes on loopback, without agents. */
export async function startBenchYard(plan: BenchYardPlan): Promise<BenchYard> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const token = randomUUID();
  const tokensFile = join(dir.path, 'tokens.json');
  const tokens = Array.from({ length: plan.clusters ?? 0 }, () => randomUUID());
  const entryOf = (name: string, cluster: string, shown: string, zone = 'production') => ({
    name,
    sha256: hashToken(shown),
    kind: 'agent',
    cluster,
    pool: 'load',
    zone,
  });
  const entries = [
    entryOf('load', 'bench', token),
    ...tokens.map((one, index) => entryOf(`load-${index}`, `bench-${index}`, one, plan.zones?.[index])),
  ];
  writeFileSync(tokensFile, JSON.stringify(entries));
  const coordinators: BenchCoordinator[] = [];
  const processes = stack.use(new AsyncDisposableStack());
  const start = async (index: number, listen: string): Promise<BenchCoordinator> => {
    const own = ['--state-dir', join(dir.path, `state-${index}`), '--listen', listen, '--data-listen', '127.0.0.1:0'];
    const metrics = `127.0.0.1:${(await freePorts(1))[0] ?? 0}`;
    const shared = [
      '--metrics-listen',
      metrics,
      '--tokens-file',
      tokensFile,
      '--log-level',
      'warn',
      ...ledgerFlags(plan.ledger, dir.path),
      ...(plan.flags ?? []),
    ];
    const process = processes.use(startSwitchyard(['coordinator', ...own, ...shared], plan.env === undefined ? {} : { env: plan.env }));
    return { process, metrics, address: String((await process.ready(60_000))['address']) };
  };
  for (let index = 0; index < (plan.coordinators ?? 1); index += 1) coordinators.push(await start(index, '127.0.0.1:0'));
  const address = coordinators.map((coordinator) => coordinator.address).join(',');
  const server = stack.use(connectBuildServer({ address, token: undefined }));
  const parts = stack.move();
  return {
    coordinators,
    address,
    token,
    tokens,
    server,
    dir: dir.path,
    async restart(index) {
      const before = coordinators[index];
      if (before !== undefined) coordinators[index] = await start(index, before.address);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function ledgerFlags(ledger: LedgerPlace, dir: string): readonly string[] {
  if (ledger.kind === 'sqlite') return ['--ledger', 'sqlite'];
  return ['--ledger', 'redis', '--redis-url', ledger.url, '--blobs-dir', join(dir, 'blobs')];
}

/** Steps that do nothing; side-effecting ones start only after their lease was renewed once more. */
export function noOps(count: number, sideEffects = false) {
  return Array.from({ length: count }, (_, index) => ({ name: `step-${index}`, command: ['true'], cacheable: false, sideEffects }));
}

/**
 * A yard with its agents as something to measure: one-step builds one by one, one large build to drain. The second subject
 * is the same yard with side-effecting steps, and is not drained.
 */
export async function startYardSubjects(
  name: string,
  ledger: LedgerPlace,
  agents: { readonly count: number; readonly perProcess: number },
): Promise<readonly [Subject, Subject]> {
  await using stack = new AsyncDisposableStack();
  const yard = stack.use(await startBenchYard({ ledger }));
  const { server, token, address } = yard;
  const load = stack.use(await startLoadAgents({ address, token, slots: SLOTS, ...agents }));
  await drainYard(server, load, 64);
  const parts = stack.move();
  const never = new AbortController().signal; // a call that hangs ends by its deadline
  const one = (sideEffects: boolean) => async () => {
    const request = { idempotencyKey: randomUUID(), name: 'one', steps: noOps(1, sideEffects) };
    const { id } = await server.submit(request, never);
    return `${id}/step-0`;
  };
  const pure: Subject = {
    name,
    openLoop: (rate, seconds) => openLoop(load.starts, one(false), rate, seconds),
    drain: (count) => drainYard(server, load, count),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
  const effects: Subject = {
    name: `${name}, side-effecting`,
    openLoop: (rate, seconds) => openLoop(load.starts, one(true), rate, seconds),
    drain: undefined,
    async [Symbol.asyncDispose]() {},
  };
  return [pure, effects];
}

/** From just before the submission of one build to the watcher's news of its end. */
async function drainYard(server: BuildServer, load: LoadAgents, count: number): Promise<Drain> {
  load.starts.clear();
  const signal = AbortSignal.timeout(300_000);
  const before = hostMicros();
  const { id } = await server.submit({ idempotencyKey: randomUUID(), name: 'drain', steps: noOps(count) }, signal);
  let succeeded = 0;
  for await (const event of server.watch(id, '', signal)) {
    if (event.kind === 'step-ended' && event.verdict === 'succeeded') succeeded += 1;
    if (event.kind === 'build-ended') break;
  }
  const seconds = (hostMicros() - before) / 1e6;
  await untilStarted(load.starts, count);
  return { seconds, lost: count - succeeded, doubled: load.starts.doubled };
}

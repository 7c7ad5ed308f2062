import { randomUUID } from 'node:crypto';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { until } from '../fixtures/until.ts';
import type { BenchOptions, Figure } from './bench.ts';
import { noOps, startBenchYard, type BenchCoordinator, type BenchYard } from './bench-yard.ts';
import { hostMicros } from './host-micros.ts';
import { startLoadAgents, type LoadAgents } from './load-agent-processes.ts';
import { redisPlace } from './redis-place.ts';
import { watchRedis } from './redis-calls.ts';

const RUNNING = 100;
const WAIT_MS = 120_000;
/** As the coordinator's default. */
const TERM_TTL_MS = 3_000;

async function leads({ address }: BenchCoordinator): Promise<boolean> {
  const client = dial(loadProto().switchyard.v1.Build, { address, token: undefined }, 'control');
  try {
    const { coordinatorRole } = await callUnary(client, 'getServer', {}, { signal: AbortSignal.timeout(2_000) });
    return coordinatorRole === 'COORDINATOR_ROLE_LEADING';
  } catch {
    return false; // it is dead, stopped, or too busy to lead
  } finally {
    client.close();
  }
}

async function leaders(yard: BenchYard, except?: BenchCoordinator): Promise<readonly BenchCoordinator[]> {
  const answers = await Promise.all(yard.coordinators.map(async (one) => (one !== except && (await leads(one)) ? [one] : [])));
  return answers.flat();
}

async function leaderOf(yard: BenchYard, except?: BenchCoordinator): Promise<BenchCoordinator> {
  return until('somebody leads', async () => (await leaders(yard, except))[0], WAIT_MS);
}

/** Submits a build of one step; answers when it has started, in microseconds of the host's clock. */
async function startOne(yard: BenchYard, load: LoadAgents): Promise<number> {
  const steps = [{ ...noOps(1)[0], sideEffects: false, selector: 'lane=fast' }];
  const request = { idempotencyKey: randomUUID(), name: 'next', steps };
  const { id } = await until('the build is accepted', () => yard.server.submit(request, AbortSignal.timeout(20_000)), WAIT_MS);
  return until('the next step starts', () => load.starts.at(`${id}/step-0`), WAIT_MS);
}

type Round = { readonly nextMs: number; readonly leadsMs: number; readonly rerun: number; readonly lost: number };

/** Starts long steps, does `harm` to the leader, and looks at how things go on. */
async function round(
  yard: BenchYard,
  slow: LoadAgents,
  fast: LoadAgents,
  harm: (leader: BenchCoordinator) => Promise<void>,
): Promise<Round> {
  const leader = await leaderOf(yard);
  slow.starts.clear();
  const steps = noOps(RUNNING).map((step) => ({ ...step, sideEffects: false, selector: 'lane=slow' }));
  const { id } = await yard.server.submit({ idempotencyKey: randomUUID(), name: 'running', steps }, AbortSignal.timeout(20_000));
  await until('all steps run', () => slow.starts.count === RUNNING, WAIT_MS);
  const before = hostMicros();
  await harm(leader);
  const [at, leadsAt] = await Promise.all([startOne(yard, fast), leaderOf(yard, leader).then(() => hostMicros())]);
  let succeeded = 0;
  for await (const event of yard.server.watch(id, '', AbortSignal.timeout(WAIT_MS))) {
    if (event.kind === 'step-ended' && event.verdict === 'succeeded') succeeded += 1;
    if (event.kind === 'build-ended') break;
  }
  return { nextMs: (at - before) / 1000, leadsMs: (leadsAt - before) / 1000, rerun: slow.starts.doubled, lost: RUNNING - succeeded };
}

/** The longest that the coordinator's event loop did nothing else, since this was last asked. */
async function longestStallMs({ metrics }: BenchCoordinator): Promise<number> {
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const seconds = /^nodejs_eventloop_lag_max_seconds (.+)$/m.exec(text)?.[1];
  return Number(seconds) * 1000;
}

async function kill(leader: BenchCoordinator): Promise<void> {
  leader.process.kill('SIGKILL');
  await leader.process.ended;
}

function* roundFigures(named: string, rounds: readonly Round[]): Generator<Figure> {
  const most = (pick: (one: Round) => number) => Math.max(...rounds.map(pick));
  yield { case: named, metric: 'next dispatch, longest', value: most((one) => one.nextMs) / 1000, unit: 's' };
  yield { case: named, metric: 'another one leads, longest', value: most((one) => one.leadsMs) / 1000, unit: 's' };
  yield {
    case: named,
    metric: 'steps run again',
    value: rounds.reduce((sum, one) => sum + one.rerun, 0),
    unit: `of ${rounds.length * RUNNING}`,
  };
  yield { case: named, metric: 'steps lost', value: rounds.reduce((sum, one) => sum + one.lost, 0), unit: `of ${rounds.length * RUNNING}` };
}

type Load = { readonly queued: number; readonly sessions: number };

/** Kills and stalls of the leader, on an empty ledger. */
export async function* leaderFigures(options: BenchOptions): AsyncGenerator<Figure> {
  const rounds = options.quick ? 1 : 3;
  yield* withYard(options, { queued: 0, sessions: 0 }, async function* figures(yard, slow, fast) {
    const killed: Round[] = [];
    for (let index = 0; index < rounds; index += 1) {
      let at = -1;
      const harm = async (leader: BenchCoordinator) => {
        at = yard.coordinators.indexOf(leader);
        await kill(leader);
      };
      killed.push(await round(yard, slow, fast, harm));
      await yard.restart(at);
    }
    yield* roundFigures(`leader kill -9, ${RUNNING} running, ${rounds} times`, killed);
    yield* stallFigures(yard, slow, fast);
  });
}

/** A kill of the leader while many steps wait and many agents have sessions. */
export async function* fullLedgerFigures(options: BenchOptions): AsyncGenerator<Figure> {
  const load = options.quick ? { queued: 5_000, sessions: 100 } : { queued: 100_000, sessions: 1_000 };
  yield* withYard(options, load, async function* figures(yard, slow, fast, url) {
    await using watched = await watchRedis(url);
    // Each reading of the metrics begins a new longest stall.
    await Promise.all(yard.coordinators.map(longestStallMs));
    let heir: BenchCoordinator | undefined;
    const harm = async (leader: BenchCoordinator) => {
      heir = yard.coordinators.find((other) => other !== leader);
      await kill(leader);
    };
    const [one, slowest] = await watched.during(() => round(yard, slow, fast, harm));
    const named = `leader kill -9, ${load.queued} queued, ${load.sessions} sessions`;
    yield* roundFigures(named, [one]);
    yield { case: named, metric: `longest Redis call (${slowest.call})`, value: slowest.callMs, unit: 'ms' };
    if (heir !== undefined) yield { case: named, metric: 'longest stall of the new leader', value: await longestStallMs(heir), unit: 'ms' };
  });
}

/** A leader that does nothing for more than its term's time: another leads, and it steps down when it goes on. */
async function* stallFigures(yard: BenchYard, slow: LoadAgents, fast: LoadAgents): AsyncGenerator<Figure> {
  let stalled: BenchCoordinator | undefined;
  let both = 0;
  const one = await round(yard, slow, fast, async (leader) => {
    stalled = leader;
    leader.process.kill('SIGSTOP');
    setTimeout(() => leader.process.kill('SIGCONT'), TERM_TTL_MS * 2);
  });
  const end = hostMicros() + TERM_TTL_MS * 1000;
  while (hostMicros() < end) both = Math.max(both, (await leaders(yard)).length);
  const named = `leader stopped for two terms, ${RUNNING} running`;
  yield* roundFigures(named, [one]);
  yield { case: named, metric: 'that lead at once, most seen', value: both, unit: '' };
  yield { case: named, metric: 'it leads after the stall', value: stalled !== undefined && (await leads(stalled)) ? 1 : 0, unit: '' };
}

async function* withYard(
  options: BenchOptions,
  load: Load,
  figures: (yard: BenchYard, slow: LoadAgents, fast: LoadAgents, url: string) => AsyncGenerator<Figure>,
): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await redisPlace(options.redis));
  const yard = stack.use(await startBenchYard({ ledger: { kind: 'redis', url: redis.url }, coordinators: 2 }));
  const plan = { address: yard.address, token: yard.token };
  const slow = stack.use(
    await startLoadAgents({ ...plan, count: 4, perProcess: 2, slots: RUNNING / 4, holdMs: 12_000, labels: { lane: 'slow' } }),
  );
  const fast = stack.use(await startLoadAgents({ ...plan, count: 1, perProcess: 1, slots: 4, labels: { lane: 'fast' }, firstNumber: 10 }));
  if (load.sessions > 0) {
    const idle = { ...plan, count: load.sessions, perProcess: 250, slots: 1, labels: { lane: 'idle' }, firstNumber: 100 };
    stack.use(await startLoadAgents(idle));
  }
  for (let left = load.queued; left > 0; left -= 1_000) {
    const steps = noOps(Math.min(1_000, left)).map((step) => ({ ...step, selector: 'lane=nowhere' }));
    await yard.server.submit({ idempotencyKey: randomUUID(), name: 'queued', steps }, AbortSignal.timeout(60_000));
  }
  yield* figures(yard, slow, fast, redis.url);
}

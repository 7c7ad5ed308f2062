import type { Env } from '../../base/env.ts';
import { isFault, wrap, type Fault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { CANARY_PROJECT, canaryRules } from '../../topology/model.ts';
import { CANARY_SCOPE } from '../core/canary.ts';
import type { BuildId } from '../core/ids.ts';
import type { BuildView, PoolView } from '../core/view.ts';
import { newBuildId } from './build-ids.ts';
import { canaryBuild, canaryInputs, poolLabels } from './canary-build.ts';
import { CANARY_ACTOR, NO_VERDICT, verdictOn, type Verdict } from './canary-verdict.ts';
import type { CoreView } from './core-view.ts';
import type { Driver } from './driver.ts';
import { instanceNameOf } from './instance-name.ts';

export type CanariesOptions = {
  readonly core: Pick<CoreView, 'agents' | 'builds' | 'pools' | 'topology'>;
  readonly driver: Pick<Driver, 'submit' | 'now'>;
  readonly storeOf: (instanceName: string) => BlobStore;
  readonly env: Pick<Env, 'log'>;
  /** Time between two looks. @default 1000 */
  readonly everyMs?: number;
};

/** Disposal ends the look that is under way. */
export interface Canaries extends AsyncDisposable {
  /** Submits what is due and judges what has ended; returns when that has been done. */
  look(): Promise<void>;
}

/** A degraded pool is tried at least as often, so that it is not kept from work for long once it is well. */
const DEGRADED_EVERY_MS = 30_000;
/** Longest wait for the store at one look. */
const STORE_MS = 10_000;
/** Canary builds that are looked at, of all pools together. */
const BUILDS_MAX = 10_000;

/**
 * Finds out whether pools work, by a small build in each of them on the topology's schedule, and tells the core. All that it goes by
 * is in the builds themselves: who takes the lead over goes on where the last one was. Of each pool only the newest build is kept.
 */
export function startCanaries(options: CanariesOptions): Canaries {
  const stop = new AbortController();
  const verdicts = new Map<BuildId, Verdict>();
  let looking: Promise<void> | undefined;
  const look = () => (looking ??= lookAtAll({ ...options, verdicts }, stop.signal).finally(() => (looking = undefined)));
  const timer = setInterval(() => {
    look().catch((error: unknown) => {
      if (!stop.signal.aborted && !isPassing(error)) options.env.log.error('canaries-failed', { error });
    });
  }, options.everyMs ?? 1_000);
  timer.unref();
  return {
    look,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stop.abort();
      await looking?.catch(() => {}); // whoever called `look` hears of it
    },
  };
}

/** The store is away, or this coordinator is about to lead no more: both are told elsewhere. */
function isPassing(error: unknown): boolean {
  return (['STORE_UNAVAILABLE', 'STORE_FULL', 'PEER_UNAVAILABLE', 'LEDGER_UNAVAILABLE', 'DRAINING'] as const).some((code) =>
    isFault(error, code),
  );
}

type Context = CanariesOptions & {
  /** Of builds that are there still, once it is known. */
  readonly verdicts: Map<BuildId, Verdict>;
};

async function lookAtAll(options: Context, signal: AbortSignal): Promise<void> {
  const { core } = options;
  const builds = Map.groupBy(core.builds({ project: CANARY_PROJECT, limit: BUILDS_MAX }), ({ record }) => record.spec.labels['pool'] ?? '');
  const pools = core.pools();
  if (builds.size === 0 && pools.every(({ name, degraded }) => degraded === undefined && canaryRules(core.topology, name) === undefined))
    return;
  const known = new Set(pools.map(({ name }) => name));
  for (const [name, ofPool] of builds) if (!known.has(name)) await dropAll(options, ofPool);
  const within = AbortSignal.any([signal, AbortSignal.timeout(STORE_MS)]);
  const faults: Fault[] = [];
  for (const pool of pools) {
    if (signal.aborted) return;
    // One pool's trouble keeps nobody from looking at the others.
    await lookAt(options, pool, builds.get(pool.name) ?? [], within).catch((error: unknown) =>
      faults.push(wrap(error, `The canary of ${pool.name}`)),
    );
  }
  const [fault] = faults.toSorted((left, right) => Number(isPassing(left)) - Number(isPassing(right)));
  if (fault !== undefined) throw fault;
}

/** `builds` are those of the pool, newest first. */
async function lookAt(options: Context, pool: PoolView, builds: readonly BuildView[], signal: AbortSignal): Promise<void> {
  const { core, driver } = options;
  const rules = canaryRules(core.topology, pool.name);
  if (rules === undefined) {
    if (pool.degraded !== undefined) await tell(options, pool, undefined);
    return dropAll(options, builds);
  }
  const [newest, ...older] = builds;
  await dropAll(options, older);
  if (newest?.state.kind === 'running') return hurry(options, pool, newest, rules.timeoutMs);
  if (newest !== undefined) {
    const verdict = await judge(options, newest, signal);
    if (verdict.kind === 'well' && pool.degraded !== undefined) await tell(options, pool, undefined);
    if (verdict.kind === 'failed' && pool.degraded?.why !== verdict.why) await tell(options, pool, verdict.why);
  }
  if (pool.open === 0) return;
  const everyMs = pool.degraded === undefined ? rules.everyMs : Math.min(rules.everyMs, DEGRADED_EVERY_MS);
  const turn = (at: number) => Math.floor((at + offsetOf(pool.name)) / everyMs);
  if (newest === undefined || turn(driver.now()) > turn(newest.record.acceptedAt)) await submit(options, pool, rules.timeoutMs, signal);
}

async function judge({ verdicts, storeOf }: Context, build: BuildView, signal: AbortSignal): Promise<Verdict> {
  const known = verdicts.get(build.record.id);
  if (known !== undefined) return known;
  const verdict = await verdictOn(build, storeOf(instanceNameOf(CANARY_PROJECT, CANARY_SCOPE)), signal);
  if (verdict.kind !== 'open') verdicts.set(build.record.id, verdict);
  return verdict;
}

/** Pools take their turns at different times. */
function offsetOf(name: string): number {
  let sum = 0;
  for (let at = 0; at < name.length; at += 1) sum = (sum * 31 + name.charCodeAt(at)) % 86_400_000;
  return sum;
}

async function submit(
  { core, driver, storeOf, env }: CanariesOptions,
  pool: PoolView,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const id = newBuildId(driver.now());
  const labels = poolLabels(pool.name);
  const members = core
    .agents()
    .filter((agent) => agent.connected && Object.entries(labels).every(([key, value]) => (agent.labels[key] ?? '') === value));
  if (members.length === 0) return;
  const { root, bytes, blobs } = canaryInputs(id);
  const store = storeOf(instanceNameOf(CANARY_PROJECT, CANARY_SCOPE));
  for (const [digest, blob] of blobs) await store.put(digest, blob, signal);
  const spec = canaryBuild({ pool: pool.name, id, root, bytes, timeoutMs, members, topology: core.topology });
  const reply = await driver.submit({ kind: 'build-submitted', id, spec, idempotencyKey: id });
  if (reply.kind === 'refused') env.log.error('canary-refused', { pool: pool.name, message: reply.message });
}

/** Gives up a build that waits although it need not, which is a verdict, or whose pool takes nothing, which is none. */
async function hurry(options: Context, pool: PoolView, build: BuildView, timeoutMs: number): Promise<void> {
  const { driver } = options;
  const state = build.steps[0]?.record.state.kind;
  if (state !== 'queued' && state !== 'offered') return;
  if (pool.open === 0) return cancel(options, build, NO_VERDICT);
  const waited = driver.now() - build.record.acceptedAt;
  if (waited < timeoutMs || pool.free === 0) return;
  await cancel(options, build, `no agent took it in ${Math.round(waited / 1_000)} s, although ${pool.free} could`);
}

async function cancel({ driver }: Context, build: BuildView, reason: string): Promise<void> {
  if (build.state.kind === 'running' && build.state.cancelling === undefined)
    await driver.submit({ kind: 'build-cancelled', id: build.record.id, by: CANARY_ACTOR, reason });
}

async function dropAll(options: Context, builds: readonly BuildView[]): Promise<void> {
  for (const build of builds) {
    if (build.state.kind === 'ended') {
      options.verdicts.delete(build.record.id);
      await options.driver.submit({ kind: 'build-expired', id: build.record.id });
    } else await cancel(options, build, NO_VERDICT);
  }
}

async function tell({ driver, env }: CanariesOptions, { name }: PoolView, why: string | undefined): Promise<void> {
  await driver.submit({ kind: 'canary-judged', pool: name, why });
  if (why === undefined) env.log.info('pool-well', { pool: name });
  else env.log.warn('pool-degraded', { pool: name, why });
}

import type { Identity } from '../../../base/auth.ts';
import type { Env } from '../../../base/env.ts';
import { Fault, isFault } from '../../../base/fault.ts';
import { callUnary } from '../../../proto/dial.ts';
import type { ExternalScalerHandlers } from '../../../proto/gen/externalscaler/ExternalScaler.ts';
import type { GetMetricSpecResponse } from '../../../proto/gen/externalscaler/GetMetricSpecResponse.ts';
import type { GetMetricsRequest__Output } from '../../../proto/gen/externalscaler/GetMetricsRequest.ts';
import type { GetMetricsResponse, GetMetricsResponse__Output } from '../../../proto/gen/externalscaler/GetMetricsResponse.ts';
import type { IsActiveResponse } from '../../../proto/gen/externalscaler/IsActiveResponse.ts';
import type { ScaledObjectRef__Output } from '../../../proto/gen/externalscaler/ScaledObjectRef.ts';
import { serverStream, unary, type Call } from '../../../proto/handlers.ts';
import { loadProto } from '../../../proto/load.ts';
import { hopsOf, type Relay } from '../../../proto/relay.ts';
import type { ServedService } from '../../../proto/serve.ts';
import type { PoolShape } from '../../core/demand.ts';
import type { RoleSource } from '../../role/role.ts';
import type { CoreView } from '../../shell/core-view.ts';
import { sleep } from '../../shell/sleep.ts';
import { bad, brief } from '../fields.ts';
import { noLeader } from '../forward.ts';
import { triggerFrom, type Trigger } from './trigger.ts';

export type ScalerServiceOptions = {
  readonly role: RoleSource;
  readonly relay: Relay;
  readonly env: Env;
  /** How often streams look. @default 1 s */
  readonly lookEveryMs?: number;
};

/** The one thing that is measured: slots of agents of the pool. */
const METRIC = 'switchyard-slots';
/** Longest wait for somebody to lead: polls have a deadline of some seconds. */
const LEADER_MS = 2_000;
const LOOK_EVERY_MS = 1_000;
/** Looks without an answer after which a stream ends: KEDA opens another one, perhaps to a coordinator that knows more. */
const LOOKS_FAILED_MAX = 10;

/** What a pool is wanted for, in slots of its agents. */
type Wanted = { readonly trigger: Trigger; readonly slots: number };

/**
 * KEDA's external scaler over pools of agents. The leader knows; a follower hands the question on, for KEDA asks coordinators in turn.
 * What one agent's share is depends on the trigger alone: KEDA asks it once, and makes do without an answer until the object changes.
 */
export function scalerService(options: ScalerServiceOptions): ServedService {
  const { env } = options;
  const handlers: ExternalScalerHandlers = {
    GetMetricSpec: unary<ScaledObjectRef__Output, GetMetricSpecResponse>(env, 'ExternalScaler.GetMetricSpec', async (ref, call) =>
      specOf(ref, call),
    ),
    StreamMetricSpec: serverStream<ScaledObjectRef__Output, GetMetricSpecResponse>(
      env,
      'ExternalScaler.StreamMetricSpec',
      async function* (ref, call) {
        yield specOf(ref, call);
        await endOf(options, call);
      },
    ),
    GetMetrics: unary<GetMetricsRequest__Output, GetMetricsResponse>(
      env,
      'ExternalScaler.GetMetrics',
      async ({ scaledObjectRef, metricName }, call) => {
        if (metricName !== METRIC) throw bad('metric_name', `must be ${METRIC}, but is "${brief(metricName)}"`);
        return valueOf(await wantedNow(options, scaledObjectRef, call));
      },
    ),
    IsActive: unary<ScaledObjectRef__Output, IsActiveResponse>(env, 'ExternalScaler.IsActive', async (ref, call) => ({
      result: (await wantedNow(options, ref, call)).slots > 0,
    })),
    StreamIsActive: serverStream<ScaledObjectRef__Output, IsActiveResponse>(env, 'ExternalScaler.StreamIsActive', (ref, call) =>
      watch(options, ref, call),
    ),
  };
  return { definition: loadProto().externalscaler.ExternalScaler.service, handlers };
}

/** Also refuses what is wrong about the trigger, but for what only the topology can tell. */
function specOf(ref: ScaledObjectRef__Output, { identity }: Call): GetMetricSpecResponse {
  const { slots } = checked(ref, identity).shape.capacity;
  return { metricSpecs: [{ metricName: METRIC, targetSize: slots, targetSizeFloat: slots }] };
}

function valueOf({ slots }: Wanted): GetMetricsResponse {
  return { metricValues: [{ metricName: METRIC, metricValue: Math.ceil(slots), metricValueFloat: slots }] };
}

/** @throws {Fault} BAD_REQUEST; FORBIDDEN where the autoscaler is another cluster's */
function checked(ref: ScaledObjectRef__Output | null, identity: Identity): Trigger {
  const trigger = triggerFrom(ref?.scalerMetadata ?? {});
  if (identity.kind === 'scaler' && identity.cluster !== trigger.cluster) {
    const message = `The certificate is for pools of the cluster ${identity.cluster}, and the trigger names ${trigger.cluster}/${trigger.pool}`;
    throw new Fault('FORBIDDEN', message, { field: 'scaler_metadata["pool"]' });
  }
  return trigger;
}

async function wantedNow(options: ScalerServiceOptions, ref: ScaledObjectRef__Output | null, call: Call): Promise<Wanted> {
  const trigger = checked(ref, call.identity);
  const now = options.role.current();
  const role = now.kind === 'leading' ? now : await options.role.known(hopsOf(call) > 0 ? 0 : LEADER_MS, call.signal);
  // It may be ahead of what is durable: a number of slots promises nobody anything.
  if (role.kind === 'leading') return { trigger, slots: slotsWanted(role.shell.core, trigger) };
  if (role.leader === undefined) throw noLeader();
  const client = options.relay.client(loadProto().externalscaler.ExternalScaler, role.leader.address);
  const request = { scaledObjectRef: ref, metricName: METRIC };
  const answer: GetMetricsResponse__Output = await callUnary(client, 'getMetrics', request, options.relay.options(call, 1));
  return { trigger, slots: answer.metricValues[0]?.metricValueFloat ?? 0 };
}

/** @throws {Fault} BAD_REQUEST where the topology has no such pool, or no zone for it */
function slotsWanted(core: CoreView, trigger: Trigger): number {
  const { floor, lookAhead } = trigger;
  const demand = core.demandOf(shapeOf(core, trigger));
  if (demand.kind === 'outsider') throw bad('scaler_metadata["pool"]', `is ${trigger.cluster}/${trigger.pool}, but ${demand.why}`);
  // A pool that is held back gets nothing: agents that stand by would be idle, as they would where its limits let no more run.
  const ready = demand.held === undefined ? Math.min(floor, demand.spare) : 0;
  return rounded(demand.runnable + demand.running + lookAhead * demand.ahead + ready);
}

/** KEDA takes thousandths; never 0 for something. */
function rounded(slots: number): number {
  return Math.max(0, Math.ceil(slots * 1_000 - 1e-6)) / 1_000;
}

function shapeOf({ topology }: CoreView, { cluster, pool, zone, shape }: Trigger): PoolShape {
  const known = zone ?? topology.clusters.find(({ name }) => name === cluster)?.zone;
  if (known === undefined) {
    throw bad(
      'scaler_metadata["zone"]',
      `must say the zone of the credentials of the pool's agents: the topology does not list ${cluster}`,
    );
  }
  return { ...shape, labels: { ...shape.labels, cluster, pool, zone: known } };
}

/**
 * Whether the pool is active, first as it is and then with every change, over changes of who leads. Looked at each second: what changes
 * it are all events of the scheduler.
 */
async function* watch(options: ScalerServiceOptions, ref: ScaledObjectRef__Output, call: Call): AsyncGenerator<IsActiveResponse> {
  const over = AbortSignal.any([call.signal, options.role.stopping]);
  let told: boolean | undefined;
  for (let failed = 0; !over.aborted;) {
    try {
      const active = (await wantedNow(options, ref, call)).slots > 0;
      failed = 0;
      if (active !== told) yield { result: active };
      told = active;
    } catch (error) {
      failed += 1;
      if (over.aborted) break;
      if (failed > LOOKS_FAILED_MAX || !isFault(error) || !['NO_LEADER', 'PEER_UNAVAILABLE', 'DEADLINE'].includes(error.code)) throw error;
    }
    await sleep(options.lookEveryMs ?? LOOK_EVERY_MS, over);
  }
  if (!call.signal.aborted) throw stopping();
}

/** Returns when the client has gone. @throws {Fault} DRAINING when this coordinator stops */
async function endOf({ role }: ScalerServiceOptions, call: Call): Promise<void> {
  const over = AbortSignal.any([call.signal, role.stopping]);
  if (!over.aborted) await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
  if (!call.signal.aborted) throw stopping();
}

function stopping(): Fault {
  return new Fault('DRAINING', 'This coordinator is stopping: ask another one', { retryAfterMs: 100 });
}

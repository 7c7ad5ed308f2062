import { setTimeout as sleep } from 'node:timers/promises';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { Endpoints } from '../chaos/endpoints.ts';
import type { CallerName } from './yard.ts';

/** How long steps of the production zone waited, from ready to accepted by an agent, in milliseconds. */
export type Waits = { readonly count: number; readonly p50Ms: number; readonly p99Ms: number };

export type Isolation = {
  readonly quiet: Waits;
  readonly flooded: Waits;
  /** Of the two p99. */
  readonly ratio: number;
  /** Steps that the stranger had in the queue of its own zone when the last step of the production zone was submitted. */
  readonly floodQueued: number;
};

export type IsolationOptions = {
  readonly seed: number;
  readonly endpoints: Readonly<Record<CallerName, Endpoints>>;
  /** Of each of the two measurements. */
  readonly durationMs: number;
  readonly signal: AbortSignal;
};

const STEP: StepSpec = {
  name: 'sign',
  command: ['true'],
  zone: 'ZONE_PRODUCTION',
  cacheable: false,
  sideEffects: false,
  resources: { slots: 1 },
};
const EVERY_MS = 250;
/** Far more than the edge does meanwhile: ten slots, and a step every half second in each. */
const FLOOD_BUILDS = 12;
const FLOOD_STEPS = 250;

/** Measures the same trickle of production steps twice: alone, and while a stranger floods the edge. The flood is cancelled then. */
export async function measureIsolation(options: IsolationOptions): Promise<Isolation> {
  const { endpoints, seed, signal } = options;
  const quiet = await trickle(options, 'quiet');
  const flood: StepSpec = {
    ...{ command: ['sleep', '0.5'], selector: 'cluster=edge', cacheable: false, sideEffects: false, resources: { slots: 1 } },
  };
  const builds: string[] = [];
  for (let number = 0; number < FLOOD_BUILDS; number += 1) {
    const key = `shop-flood-${seed}-${number}`;
    const steps = Array.from({ length: FLOOD_STEPS }, (_, index) => ({ ...flood, name: `f${index}` }));
    const request = { idempotencyKey: key, name: key, weight: 1, steps };
    builds.push(await endpoints.fork.call(async (server, one) => (await server.submit(request, one)).id, signal));
  }
  const flooded = await trickle(options, 'flooded');
  const shown = await Promise.all(builds.map((id) => endpoints.fork.call((server, one) => server.snapshot(id, one), signal)));
  for (const id of builds) await endpoints.fork.call((server, one) => server.cancel(id, '', 'measured', one), signal);
  const floodQueued = shown.reduce((sum, { build }) => sum + build.stepsTotal - build.stepsEnded, 0);
  return { quiet, flooded, ratio: flooded.p99Ms / quiet.p99Ms, floodQueued };
}

async function trickle({ endpoints, seed, durationMs, signal }: IsolationOptions, name: string): Promise<Waits> {
  const ids: string[] = [];
  for (let number = 0; number * EVERY_MS < durationMs; number += 1) {
    const key = `shop-${name}-${seed}-${number}`;
    const request = { idempotencyKey: key, name: key, weight: 1, steps: [STEP] };
    ids.push(await endpoints.main.call(async (server, one) => (await server.submit(request, one)).id, signal));
    await sleep(EVERY_MS, undefined, { signal });
  }
  const waits: number[] = [];
  for (const id of ids) {
    for (let wait = await waitOf(endpoints.main, id, signal); ; wait = await waitOf(endpoints.main, id, signal)) {
      if (wait !== undefined) waits.push(wait);
      if (wait !== undefined) break;
      await sleep(200, undefined, { signal });
    }
  }
  const sorted = waits.toSorted((left, right) => left - right);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? 0;
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Undefined while no agent has it. */
async function waitOf(endpoints: Endpoints, id: string, signal: AbortSignal): Promise<number | undefined> {
  const { steps } = await endpoints.call((server, one) => server.snapshot(id, one), signal);
  const [step] = steps;
  const acceptedAtMs = step?.attempts[0]?.acceptedAtMs;
  return step?.readyAtMs === undefined || acceptedAtMs === undefined ? undefined : acceptedAtMs - step.readyAtMs;
}

import { present } from '../../base/assert.ts';
import type { FailureClass } from '../../base/failure.ts';
import type { Prng } from '../../base/prng.ts';
import { SANDBOX_TRAITS, type SandboxTrait } from '../../base/sandbox-trait.ts';
import { atLeast, ZONES, type Zone } from '../../base/zone.ts';
import { digestOf } from '../../cache/digest.ts';
import { DEFAULT_RETRY, type BuildSpec, type Need, type StepSpec } from '../../coordinator/core/spec.ts';
import { PLAIN_STEP } from '../fixtures/plain-step.ts';
import { dependencyCachesOf } from './dependencies.ts';
import type { AgentPlan, Plan } from './plan.ts';

/** How a step's attempts go, and what its selector means in words of the simulation's own. */
export type StepPlan = {
  readonly spec: StepSpec;
  /** What the selector asks for, apart from zone, resources and sandbox. */
  readonly wants: (labels: Readonly<Record<string, string>>) => boolean;
  readonly runMs: number;
  /** Takes the agent down that runs it. */
  readonly poison: boolean;
  /** Its inputs contradict each other. */
  readonly invalid: boolean;
  /** How the attempt ends that is the n-th of its step to run. */
  readonly ends: (attempt: number) => 'succeeded' | Exclude<FailureClass, 'cancelled' | 'agent-lost' | 'agent-stop'>;
};

export type BuildPlan = {
  readonly spec: BuildSpec;
  readonly steps: ReadonlyMap<string, StepPlan>;
  readonly submitAtMs: number;
  readonly idempotencyKey: string;
};

type Wish = { readonly selector: string; readonly wants: StepPlan['wants'] };

const WISHES: readonly Wish[] = [
  { selector: '', wants: () => true },
  { selector: 'class=edge', wants: (labels) => labels['class'] === 'edge' },
  { selector: 'class in (central, other)', wants: (labels) => labels['class'] === 'central' },
  { selector: 'arch==amd64,!gpu', wants: (labels) => labels['arch'] === 'amd64' && labels['gpu'] === undefined },
  { selector: 'cores >= 8', wants: (labels) => Number(labels['cores']) >= 8 },
  { selector: 'pool != edge', wants: (labels) => labels['pool'] !== 'edge' },
  { selector: 'arch notin (arm64)', wants: (labels) => labels['arch'] !== 'arm64' },
  { selector: 'gpu', wants: (labels) => labels['gpu'] !== undefined },
];

const CLASSES = ['exit', 'timeout', 'output', 'oom'] as const;
const ERRORS = ['sandbox-error', 'cache-error'] as const;
const PROJECTS = ['apple', 'birch', 'cedar'] as const;

/** Draws builds of `plan.steps` steps altogether. */
export function drawWorkload(plan: Plan, prng: Prng): readonly BuildPlan[] {
  const builds: BuildPlan[] = [];
  for (let left = plan.steps; left > 0;) {
    // Now and then all in one: changes of large builds take several commits.
    const size = prng.below(12) === 0 ? left : Math.min(left, 1 + prng.below(Math.max(4, Math.floor(plan.steps / 4))));
    builds.push(drawBuild(plan, prng, builds.length, size));
    left -= size;
  }
  return builds;
}

/** Whether the agent may run the step, by the simulation's own reading of what the step asks for. */
export function fits(step: StepPlan, agent: AgentPlan): boolean {
  const { zone, resources, sandbox } = step.spec;
  const { capacity } = agent;
  return (
    step.wants(agent.labels) &&
    atLeast(agent.zone, zone) &&
    sandbox.every((trait) => agent.sandbox.includes(trait)) &&
    resources.cpuMillis <= capacity.cpuMillis &&
    resources.memoryBytes <= capacity.memoryBytes &&
    resources.slots <= capacity.slots &&
    Object.entries(resources.custom).every(([name, count]) => count <= (capacity.custom[name] ?? 0))
  );
}

function drawBuild(plan: Plan, prng: Prng, number: number, size: number): BuildPlan {
  const { calm } = plan;
  // In a calm run one project brings most of the builds: the others must not have to wait for it.
  const project = present(PROJECTS[calm && prng.below(3) > 0 ? 0 : prng.below(PROJECTS.length)], 'a project');
  const zoneCeiling: Zone = calm ? 'trusted' : present(ZONES[prng.below(ZONES.length)], 'a zone');
  const steps: StepPlan[] = [];
  for (let index = 0; index < size; index += 1)
    steps.push(calm ? calmStep(index, number) : drawStep(plan, prng, index, number, zoneCeiling, steps));
  const spec: BuildSpec = {
    name: `build ${number}`,
    project,
    scope: prng.below(2) === 0 ? 'main' : `main/pr-${prng.below(2)}`,
    zoneCeiling,
    submittedBy: 'ann',
    labels: { number: String(number) },
    weight: 1,
    timeoutMs: !calm && prng.below(8) === 0 ? 20_000 + prng.below(200_000) : undefined,
    failFast: !calm && prng.below(3) === 0,
    steps: steps.map((step) => step.spec),
  };
  return {
    spec,
    steps: new Map(steps.map((step) => [step.spec.name, step])),
    submitAtMs: calm ? prng.below(2_000) : prng.below(Math.floor(plan.faultsEndMs * (prng.below(2) === 0 ? 0.1 : 0.7))),
    idempotencyKey: `key-${number}`,
  };
}

const BASE: StepSpec = { ...PLAIN_STEP, inputBytes: 1_000, outputs: ['out'], cacheable: false, runTimeoutMs: 120_000, graceMs: 2_000 };

function calmStep(index: number, build: number): StepPlan {
  const spec: StepSpec = { ...BASE, name: `s${index}`, command: ['calm', `${build}/${index}`], inputRoot: inputOf('calm') };
  return { spec, wants: () => true, runMs: 700, poison: false, invalid: false, ends: () => 'succeeded' };
}

function drawStep(plan: Plan, prng: Prng, index: number, build: number, ceiling: Zone, earlier: readonly StepPlan[]): StepPlan {
  const one = <T>(values: readonly T[]): T => present(values[prng.below(values.length)], 'one of several');
  const sideEffects = prng.below(8) === 0;
  const cacheable = !sideEffects && prng.below(2) === 0;
  const poison = prng.next() < plan.poison;
  // Few different commands for cacheable steps: then equal actions meet each other, also across projects and scopes.
  const command = cacheable ? ['make', String(prng.below(6))] : ['run', `${build}/${index}`];
  const plain = cacheable && prng.below(4) > 0;
  const wish = poison || plain ? present(WISHES[0], 'the first wish') : one(WISHES);
  const lost = poison ? 10 : sideEffects ? 0 : DEFAULT_RETRY.limits['agent-lost'];
  const draft: StepSpec = {
    ...BASE,
    name: `s${index}`,
    command: poison ? ['poison', ...command] : command,
    inputRoot: inputOf(cacheable ? 'shared' : `${build}/${index}`),
    ...dependencyCachesOf(build, index),
    needs: plain && prng.below(2) === 0 ? [] : drawNeeds(prng, earlier),
    selector: wish.selector,
    resources: {
      cpuMillis: 500 * prng.below(plain ? 2 : 5),
      memoryBytes: plain ? 0 : 2 ** 28 * prng.below(6),
      slots: !plain && prng.below(10) === 0 ? 2 : 1,
      custom: prng.below(10) === 0 ? { license: 1 } : {},
    },
    zone: plain ? 'untrusted' : one(ZONES.filter((zone) => atLeast(ceiling, zone))),
    sandbox: !plain && prng.below(3) === 0 ? [one<SandboxTrait>(SANDBOX_TRAITS)] : [],
    cacheable,
    sideEffects,
    critical: prng.below(6) > 0,
    onLag: undefined,
    runIf: prng.below(4) > 0 ? 'succeeded' : one(['failed', 'always', 'always'] as const),
    priority: prng.below(3),
    queueTimeoutMs: prng.below(10) === 0 ? 5_000 + prng.below(60_000) : undefined,
    totalTimeoutMs: prng.below(10) === 0 ? 10_000 + prng.below(120_000) : undefined,
    graceMs: 500 + prng.below(4_000),
    retry: {
      initialMs: 500,
      maxMs: 10_000,
      limits: { ...DEFAULT_RETRY.limits, exit: prng.below(3), timeout: prng.below(2), oom: prng.below(2), 'agent-lost': lost },
    },
  };
  const lag =
    !draft.critical && prng.below(2) === 0 ? { afterMs: 2_000 + prng.below(20_000), use: one(['skip', 'default'] as const) } : undefined;
  const [failing, erring] = [plan.stepFails, plan.stepErrs];
  const fate = Array.from({ length: 40 }, () => {
    const draw = prng.next();
    if (draw < failing) return one(CLASSES);
    return draw < failing + erring ? one(ERRORS) : ('succeeded' as const);
  });
  const step: StepPlan = {
    spec: { ...draft, onLag: lag },
    wants: wish.wants,
    runMs: one([5, 200, 2_000, 20_000]) + prng.below(2_000),
    poison,
    invalid: prng.below(60) === 0,
    ends: (attempt) => fate[attempt % fate.length] ?? 'succeeded',
  };
  const [universal] = plan.agents;
  return universal !== undefined && fits(step, universal) ? step : tamed(step, universal);
}

/** The step with wishes that the first agent can fulfil. */
function tamed(step: StepPlan, universal: AgentPlan | undefined): StepPlan {
  const slots = Math.min(step.spec.resources.slots, universal?.capacity.slots ?? 1);
  return { ...step, wants: () => true, spec: { ...step.spec, selector: '', resources: { ...step.spec.resources, slots } } };
}

function drawNeeds(prng: Prng, earlier: readonly StepPlan[]): readonly Need[] {
  const names = new Set<string>();
  for (let count = prng.below(3); count > 0 && earlier.length > 0; count -= 1)
    names.add(present(earlier[prng.below(earlier.length)], 'earlier').spec.name);
  return [...names].map((name) => ({ step: name, outputs: prng.below(3) > 0 }));
}

function inputOf(text: string) {
  return digestOf(Buffer.from(`input ${text}`));
}

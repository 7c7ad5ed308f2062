import { atLeast, parseZone, ZONES, type Zone } from '../../base/zone.ts';
import { inputFloor, type Topology } from '../../topology/model.ts';
import type { Refusal } from './admission.ts';
import type { StepNode } from './nodes.ts';
import type { BuildSpec, StepSpec } from './spec.ts';
import type { StepOutcome, StepRecord } from './state.ts';
import type { Yard } from './yard.ts';

/**
 * How far outputs may be trusted: as far as the zone of the step that left them, of all that it took of other steps, and of the agent on
 * which it ran. A step takes only what is trusted as far as the topology asks for its zone. A build that could never keep to that is
 * refused when it is submitted; a step whose inputs turn out to be of less trust, because the zone of an agent was lowered while it ran,
 * fails before it runs. Results and dependency caches of earlier builds need no rule here: their keys name the zone.
 */

/** Why the build's steps may not take what they take, whoever submits it; undefined where they may. */
export function checkTrust(topology: Topology, { steps }: BuildSpec): Refusal | undefined {
  if (ZONES.every((zone) => inputFloor(topology, zone) === 'untrusted')) return undefined;
  const lowest = lowestSources(steps);
  const leaves = new Set(steps.filter(({ outputs }) => outputs.length > 0).map(({ name }) => name));
  for (const [index, step] of steps.entries()) {
    const floor = inputFloor(topology, step.zone);
    for (const [at, need] of step.needs.entries()) {
      const source = need.outputs && leaves.has(need.step) ? lowest.get(need.step) : undefined;
      if (source === undefined || atLeast(source.zone, floor)) continue;
      const made = source.name === need.step ? '' : `, which are made of those of "${source.name}"`;
      const message =
        `Step "${step.name}" is for zone ${step.zone} and takes the outputs of "${need.step}"${made}; "${source.name}" may run in zone ${source.zone}: ` +
        `give it zone ${floor}, or let the topology say "${source.zone}" under zones.${step.zone}.inputs`;
      return { code: 'FORBIDDEN', message, field: `steps[${index}].needs[${at}]` };
    }
  }
  return undefined;
}

/** For each step the step of the lowest zone among itself and those that its outputs are made of. Costs steps and needs. */
function lowestSources(steps: readonly StepSpec[]): ReadonlyMap<string, StepSpec> {
  const takers = new Map<string, StepSpec[]>();
  for (const step of steps) {
    for (const need of step.needs) {
      if (!need.outputs) continue;
      const known = takers.get(need.step);
      if (known === undefined) takers.set(need.step, [step]);
      else known.push(step);
    }
  }
  const lowest = new Map<string, StepSpec>();
  // From the lowest zone up, so that whoever is reached first is reached from the lowest.
  for (const zone of ZONES) {
    for (const source of steps) {
      if (source.zone !== zone || lowest.has(source.name)) continue;
      lowest.set(source.name, source);
      const pending = [source];
      for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
        for (const taker of next.outputs.length === 0 ? [] : (takers.get(next.name) ?? [])) {
          if (lowest.has(taker.name)) continue;
          lowest.set(taker.name, source);
          pending.push(taker);
        }
      }
    }
  }
  return lowest;
}

/** What keeps the step from taking what it needs, for people; undefined where nothing does. */
export function distrusted({ fleet: { topology } }: Yard, step: StepNode): string | undefined {
  const floor = inputFloor(topology, step.spec.zone);
  if (floor === 'untrusted') return undefined;
  for (const [index, { outputs }] of step.spec.needs.entries()) {
    const need = outputs ? step.needs[index] : undefined;
    if (need === undefined || !leftSomething(need)) continue;
    const trust = trustOf(need);
    if (atLeast(trust, floor)) continue;
    const agent = need.record.attempts.at(-1)?.agent;
    const where = agent === undefined ? '' : ` (it ran on agent ${agent})`;
    return `The outputs of ${need.spec.name}${where} count as zone ${trust}, and a step for zone ${step.spec.zone} takes those of ${floor} or higher`;
  }
  return undefined;
}

/** The step's record says so when its outcome is a success: how far what it leaves may be trusted. */
export function trustOf({ record, spec }: StepNode): Zone {
  return record.trust ?? spec.zone;
}

/** What `StepRecord.trust` is of a step that ends so; undefined where it is the step's zone. */
export function trustAtEnd(yard: Yard, step: StepNode, outcome: StepOutcome, draft: StepRecord): Zone | undefined {
  if (outcome.kind !== 'succeeded') return undefined;
  let trust = step.spec.zone;
  if (trust === 'untrusted') return undefined;
  const lower = (other: Zone) => (trust = atLeast(other, trust) ? trust : other);
  for (const [index, { outputs }] of step.spec.needs.entries()) {
    const need = outputs ? step.needs[index] : undefined;
    if (need !== undefined && leftSomething(need)) lower(trustOf(need));
  }
  // Where a result comes from the cache, its key names the zone, and it was kept only where its agent was of that.
  if (outcome.from === 'run') lower(zoneOfAgent(yard, draft));
  const leader = outcome.from === 'merge' && draft.endOf !== undefined ? yard.steps.get(draft.endOf) : undefined;
  if (leader !== undefined) lower(trustOf(leader));
  return trust === step.spec.zone ? undefined : trust;
}

function zoneOfAgent({ fleet }: Yard, { attempts }: StepRecord): Zone {
  const agent = attempts.at(-1)?.agent;
  return parseZone((agent === undefined ? undefined : fleet.agents.get(agent))?.labels['zone'] ?? '') ?? ZONES[0];
}

function leftSomething({ record: { state }, spec }: StepNode): boolean {
  return spec.outputs.length > 0 && state.kind === 'ended' && state.outcome.kind === 'succeeded';
}

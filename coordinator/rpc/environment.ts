import { Fault } from '../../base/fault.ts';
import { parseSelector } from '../../base/selector.ts';
import { atLeast, type Zone } from '../../base/zone.ts';
import type { GetEnvironmentRequest__Output } from '../../proto/gen/switchyard/v1/GetEnvironmentRequest.ts';
import type { GetEnvironmentResponse } from '../../proto/gen/switchyard/v1/GetEnvironmentResponse.ts';
import type { EnvironmentRules, Setting, Topology } from '../../topology/model.ts';
import { flagValues, overdueFlags, unknownEnvironment } from '../../topology/settings.ts';
import { LIMITS } from '../core/limits.ts';
import type { StepSpec } from '../core/spec.ts';
import type { Shell } from '../shell/shell.ts';
import { confirmed } from './confirmed.ts';
import { bad, brief } from './fields.ts';

/** What pipelines take of an environment. @throws {Fault} BAD_REQUEST where the topology has none of the name */
export async function getEnvironment(
  { driver, core }: Pick<Shell, 'driver' | 'core'>,
  { name }: GetEnvironmentRequest__Output,
): Promise<GetEnvironmentResponse> {
  const { topology } = core;
  const params = name === '' ? {} : environmentOf(topology, name, 'name').params;
  const answer = {
    params: asJson(params),
    flags: asJson(flagValues(topology, name)),
    warnings: overdueFlags(topology, driver.now()).map(({ words }) => words),
  };
  await confirmed(driver, () => driver.settled());
  return answer;
}

/** A step, where its name in the request is (`steps[3]`), and how high it may run. */
type Asked = { readonly step: StepSpec; readonly at: string; readonly zoneCeiling: Zone };

/**
 * The step, where its environment is: with the labels and in the zone that the topology says, whatever else it asks for; '' for none.
 * @throws {Fault} BAD_REQUEST, FORBIDDEN where the caller may not run as high as that
 */
export function withinEnvironment(topology: Topology, name: string, { step, at, zoneCeiling }: Asked): StepSpec {
  if (name === '') return step;
  const field = `${at}.environment`;
  const { selector: labels, zone = step.zone } = environmentOf(topology, name, field);
  if (!atLeast(zoneCeiling, zone)) {
    const message = `${field}: the environment ${name} is in the zone ${zone}, but the caller's steps may run in ${zoneCeiling} at most`;
    throw new Fault('FORBIDDEN', message, { field });
  }
  const selector = [step.selector, labels].filter((text) => text.trim() !== '').join(', ');
  const parsed = parseSelector(selector);
  if (parsed.kind === 'bad') throw bad(field, `makes a selector that cannot be read: ${parsed.message}`);
  if (parsed.selector.requirements.length > LIMITS.requirementsPerSelector)
    throw bad(field, `makes a selector of more than ${LIMITS.requirementsPerSelector} requirements together with the step's own`);
  return { ...step, selector, zone: atLeast(step.zone, zone) ? step.zone : zone };
}

function environmentOf({ environments = {} }: Topology, name: string, field: string): EnvironmentRules {
  const found = Object.hasOwn(environments, name) ? environments[name] : undefined;
  if (found !== undefined) return found;
  const { message, hint } = unknownEnvironment(brief(name), Object.keys(environments));
  throw new Fault('BAD_REQUEST', `${field}: ${message}`, { field, hint });
}

function asJson(values: Readonly<Record<string, Setting>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]));
}

import type { AuditSink } from '../../base/audit.ts';
import type { Logger } from '../../base/log.ts';
import { atLeast, parseZone, ZONES } from '../../base/zone.ts';
import type { FloorOf } from '../../cache/quotas.ts';
import { buildOf, type StepId } from '../core/ids.ts';
import type { CoreView } from './core-view.ts';

export type ZoneGateOptions = {
  readonly core: Pick<CoreView, 'agent' | 'build' | 'step'>;
  readonly floorOf: FloorOf;
  readonly log: Logger;
  /** Takes note of what is not kept. @default nobody */
  readonly audit?: AuditSink | undefined;
};

/**
 * Whether what the step's newest attempt made may be kept in the scope of its build: only where its agent was in the zone that the step
 * and the scope ask for, by the agent's credential and the topology. Placement has seen to it; this holds whatever became of the demands, of the agent's
 * credential or of placement meanwhile.
 */
export function zoneGate({ core, floorOf, log, audit }: ZoneGateOptions): (step: StepId) => boolean {
  return (step) => {
    const view = core.step(step);
    const spec = core.build(buildOf(step))?.record.spec;
    const agent = view?.record.attempts.at(-1)?.agent;
    if (view === undefined || spec === undefined || agent === undefined) return false;
    const zone = parseZone(core.agent(agent)?.labels['zone'] ?? '') ?? ZONES[0];
    const wanted = floorOf(spec) ?? ZONES[0];
    if (atLeast(zone, wanted) && atLeast(zone, view.spec.zone)) return true;
    log.error('result-of-low-zone', { step, agent, zone, scope: spec.scope, wanted, stepZone: view.spec.zone });
    const detail = `What it made in zone ${zone} is not kept: the step is for ${view.spec.zone}, and its scope takes what is of ${wanted} or higher`;
    audit?.note({ act: 'trust', outcome: 'refused', actor: agent, subject: step, detail, peer: '' });
    return false;
  };
}

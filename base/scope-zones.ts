import { isProject, isScope } from './caller.ts';
import { Fault } from './fault.ts';
import { parseZone, ZONES, type Zone } from './zone.ts';

/** The lowest zone of agents whose results may be kept in a scope. */
export type ScopeZones = (project: string, scope: string) => Zone;

/** Nothing is demanded. */
export const ANY_ZONE: ScopeZones = () => ZONES[0];

/**
 * Demands as text: `project/scope=zone`, with commas between them; `*` for every project. A demand is for the scope itself and not for
 * those below it. One that names the project goes before one for all.
 * @throws {Fault} CONFIG_INVALID naming the demand
 */
export function parseScopeZones(text: string): ScopeZones {
  const demands = new Map<string, Zone>();
  for (const demand of text.split(',').map((part) => part.trim())) {
    if (demand === '') continue;
    const [, project = '', scope = '', zoneText = ''] = /^([^/=]+)\/([^=]+)=(.+)$/.exec(demand) ?? [];
    const zone = parseZone(zoneText);
    if ((project !== '*' && !isProject(project)) || !isScope(scope) || zone === undefined) {
      throw new Fault('CONFIG_INVALID', `--scope-zones: "${demand}" must be <project>/<scope>=<zone>, such as web/release=production`, {
        field: 'scopeZones',
        hint: `Zones are ${ZONES.join(', ')}; "*" stands for every project.`,
      });
    }
    demands.set(`${project}/${scope}`, zone);
  }
  return (project, scope) => demands.get(`${project}/${scope}`) ?? demands.get(`*/${scope}`) ?? ZONES[0];
}

import { isProject, ROLES } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import type { Call } from '../../proto/handlers.ts';
import { accessOf, type Access } from './access.ts';
import type { DataPlaneParts } from './service.ts';

/**
 * What a call for entries may touch.
 * @throws {Fault} as `accessOf`; FORBIDDEN for agents: what they read by name comes with their offers
 */
export function entryAccess(parts: DataPlaneParts, instanceName: string, call: Call): Access {
  const identity = parts.authenticator.identify(call.evidence);
  if (identity.kind === 'agent')
    throw new Fault('FORBIDDEN', 'Agents use no names of the cache: the coordinator looks up and keeps entries');
  return accessOf(parts, instanceName, call);
}

/**
 * The project of a call that is about all of its scopes, and whether the caller may know and change what all of them hold.
 * @throws {Fault} as `entryAccess`
 */
export function projectAccess(
  parts: DataPlaneParts,
  instanceName: string,
  call: Call,
): { readonly project: string; readonly who: string; readonly isAdmin: boolean } {
  const identity = parts.authenticator.identify(call.evidence);
  if (identity.kind === 'service') {
    const [project = ''] = instanceName.split('/');
    if (!isProject(project)) throw new Fault('BAD_REQUEST', 'Name the project', { field: 'instance_name' });
    return { project, who: identity.name, isAdmin: true };
  }
  const access = entryAccess(parts, instanceName, call);
  const isAdmin = identity.kind === 'caller' && ROLES.indexOf(identity.caller.role) >= ROLES.indexOf('admin');
  return { project: access.view.project, who: access.view.producer, isAdmin };
}

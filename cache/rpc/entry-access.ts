import { hasRole, isProject } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import type { Call } from '../../proto/handlers.ts';
import { accessOf } from './access.ts';
import type { DataPlaneParts } from './service.ts';

/**
 * The project of a call that is about all of its scopes, and whether the caller may know and change what all of them hold.
 * @throws {Fault} as `accessOf`
 */
export function projectAccess(
  parts: DataPlaneParts,
  instanceName: string,
  call: Call,
): { readonly project: string; readonly who: string; readonly isAdmin: boolean } {
  const { identity } = call;
  if (identity.kind === 'service') {
    const [project = ''] = instanceName.split('/');
    if (!isProject(project)) throw new Fault('BAD_REQUEST', 'Name the project', { field: 'instance_name' });
    return { project, who: identity.name, isAdmin: true };
  }
  const access = accessOf(parts, instanceName, call);
  const isAdmin = identity.kind === 'caller' && hasRole(identity.caller, 'admin');
  return { project: access.view.project, who: access.view.producer, isAdmin };
}

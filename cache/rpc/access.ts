import type { Authenticator, Identity } from '../../base/auth.ts';
import { isProject, isScope, ROLES, scopeChain } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import type { Call } from '../../proto/handlers.ts';
import type { StoreView } from '../store-view.ts';
import { isInstanceName } from './resource-name.ts';

/** What a call may touch, as worked out from the caller's identity; the instance name only narrows it. */
export type Access = {
  readonly identity: Identity;
  /** The blobs: scopes that are read, nearest first, and the one that is written. Results are looked up in the same scopes. */
  readonly view: StoreView;
  /** The scope in which results may be kept; undefined where none may. */
  readonly results: string | undefined;
};

/**
 * Who calls, and what an instance name means for them. `project` or `project/scope`; callers may leave out what is their
 * own. Callers: their project; blobs and results are read in their scope and its ancestors, and written in their own scope only,
 * by submitters and above. Agents: blobs of every scope, results read only. Services: everything, with the name in full.
 * @throws {Fault} UNAUTHENTICATED, FORBIDDEN, BAD_REQUEST
 */
export function accessOf(authenticator: Authenticator, instanceName: string, call: Pick<Call, 'evidence'>): Access {
  const identity = authenticator.identify(call.evidence);
  const { project, scope } = parseInstance(instanceName);
  if (identity.kind !== 'caller') {
    if (project === undefined || scope === undefined) throw badInstance(instanceName, 'name project and scope: <project>/<scope>');
    const view = { project, reads: scopeChain(scope), writes: scope, producer: identity.name };
    return { identity, view, results: identity.kind === 'service' ? scope : undefined };
  }
  const { caller } = identity;
  if (project !== undefined && project !== caller.project) {
    throw new Fault('FORBIDDEN', `Instance "${instanceName}": your credential is for the project "${caller.project}"`, {
      field: 'instance_name',
    });
  }
  const own = scopeChain(caller.scope);
  const wanted = scope ?? caller.scope;
  if (!own.includes(wanted)) {
    throw new Fault('FORBIDDEN', `Instance "${instanceName}": your credential reads the scopes ${own.join(', ')} only`, {
      field: 'instance_name',
    });
  }
  const mayWrite = ROLES.indexOf(caller.role) >= ROLES.indexOf('submitter') && wanted === caller.scope;
  const writes = mayWrite ? wanted : undefined;
  return { identity, view: { project: caller.project, reads: scopeChain(wanted), writes, producer: caller.name }, results: writes };
}

/** @throws {Fault} FORBIDDEN for callers who may only read. */
export function requireUploads({ view }: Access): void {
  if (view.writes !== undefined) return;
  throw new Fault('FORBIDDEN', `Your credential may read ${view.reads[0]} and not store there`, {
    hint: 'Storing needs the role submitter or above, and goes to the own scope only: leave the scope out of the instance name.',
  });
}

function parseInstance(name: string): { readonly project: string | undefined; readonly scope: string | undefined } {
  if (name === '') return { project: undefined, scope: undefined };
  if (!isInstanceName(name)) throw badInstance(name, 'leave no segment empty and use no reserved word');
  const slash = name.indexOf('/');
  const project = slash === -1 ? name : name.slice(0, slash);
  const scope = slash === -1 ? undefined : name.slice(slash + 1);
  if (!isProject(project)) throw badInstance(name, 'begin with the project: letters, digits, ".", "_" and "-"');
  if (scope !== undefined && !isScope(scope)) throw badInstance(name, 'after the project comes a scope such as main/pr-7');
  return { project, scope };
}

function badInstance(name: string, fix: string): Fault {
  return new Fault('BAD_REQUEST', `Instance name ${JSON.stringify(name.slice(0, 200))}: ${fix}`, { field: 'instance_name' });
}

import { unreachable } from '../../base/assert.ts';
import type { Authenticator, Evidence, Identity } from '../../base/auth.ts';
import { hasRole, isProject, isScope, scopeChain, type Caller } from '../../base/caller.ts';
import type { TimeMs } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { Grant } from '../../base/grant.ts';
import type { Call } from '../../proto/handlers.ts';
import { scopeWritten, type StoreView } from '../store-view.ts';
import type { Grants, Instance } from './grants.ts';
import { isInstanceName } from './resource-name.ts';

/** What a call may touch, as worked out from verified facts; the instance name only narrows it. */
export type Access = {
  readonly identity: Identity;
  /** The blobs: scopes that are read, nearest first, and the one that is written. Results are looked up in the same scopes. */
  readonly view: StoreView;
  /** The scope in which results may be kept; undefined where none may. */
  readonly results: string | undefined;
  /** Of an agent: the lease of the attempt for which it acts, and the end of its grant by the wall clock. */
  readonly attempt: { readonly token: string; readonly expiresAt: TimeMs } | undefined;
};

/** What tells what agents may do. */
export type Gate = { readonly grants: Grants };

/**
 * Who calls, and what an instance name means for them: `project` or `project/scope`; callers may leave out what is their own.
 * Callers: in their project, blobs and results are read in the scope that they name and in its ancestors, and written in it by
 * submitters and above. It is their own or one below it; one above it is for reading only. Agents: what the grant of an attempt says,
 * and without one nothing; results are read only. Services: everything, with the name in full.
 * @throws {Fault} FORBIDDEN, BAD_REQUEST, GRANT_EXPIRED
 */
export function accessOf(gate: Gate, instanceName: string, call: Pick<Call, 'identity' | 'metadata'>): Access {
  const { identity } = call;
  const wanted = parseInstance(instanceName);
  switch (identity.kind) {
    case 'service':
      return serviceAccess(identity, wanted, instanceName);
    case 'agent':
      return agentAccess(identity, gate.grants.grantOf(identity, call.metadata, wanted), wanted, instanceName);
    case 'caller':
      return callerAccess(identity, wanted, instanceName);
    case 'scaler':
      throw new Fault('FORBIDDEN', `Blobs and results are not for the autoscaler ${identity.name}`);
    default:
      return unreachable(identity);
  }
}

function serviceAccess(identity: Identity & { kind: 'service' }, { project, scope }: Instance, name: string): Access {
  if (project === undefined || scope === undefined) throw badInstance(name, 'name project and scope: <project>/<scope>');
  const view = { project, reads: scopeChain(scope), writes: scope, producer: identity.name };
  return { identity, view, results: scope, attempt: undefined };
}

/** An attempt reads in its scope and above, and stores in its own. Its results are the coordinator's to keep. */
function agentAccess(identity: Identity & { kind: 'agent' }, grant: Grant, { project, scope }: Instance, name: string): Access {
  const { reads, writes, producer, token, expiresAt } = grant;
  if ((project !== undefined && project !== grant.project) || (scope !== undefined && !reads.includes(scope))) {
    throw new Fault('FORBIDDEN', `Instance "${name}": the attempt's grant is for ${grant.project}/${writes}`, {
      field: 'instance_name',
    });
  }
  const narrowed = scope === undefined ? reads : reads.slice(reads.indexOf(scope));
  const view = { project: grant.project, reads: narrowed, writes: scope === undefined || scope === writes ? writes : undefined, producer };
  return { identity, view, results: undefined, attempt: { token, expiresAt } };
}

function callerAccess(identity: Identity & { kind: 'caller' }, { project, scope }: Instance, name: string): Access {
  const { caller } = identity;
  if (project !== undefined && project !== caller.project) {
    throw new Fault('FORBIDDEN', `Instance "${name}": your credential is for the project "${caller.project}"`, {
      field: 'instance_name',
    });
  }
  const own = scopeChain(caller.scope);
  const wanted = scope ?? caller.scope;
  const isBelow = scopeChain(wanted).includes(caller.scope);
  if (!isBelow && !own.includes(wanted)) {
    throw new Fault('FORBIDDEN', `Instance "${name}": your credential reads ${own.join(', ')} and what is below ${caller.scope}`, {
      field: 'instance_name',
    });
  }
  const mayWrite = hasRole(caller, 'submitter') && isBelow;
  const writes = mayWrite ? wanted : undefined;
  const view = { project: caller.project, reads: scopeChain(wanted), writes, producer: caller.name };
  return { identity, view, results: writes, attempt: undefined };
}

/** @throws {Fault} FORBIDDEN for callers who may only read. */
export function requireUploads({ view }: Access): void {
  scopeWritten(view);
}

/** Who shows a credential and no more, as over HTTP. @throws {Fault} UNAUTHENTICATED; FORBIDDEN for all but callers */
export async function callerOf(authenticator: Authenticator, evidence: Evidence): Promise<Caller> {
  const identity = await authenticator.identify(evidence);
  if (identity.kind === 'caller') return identity.caller;
  throw new Fault('FORBIDDEN', `The credential of ${identity.name} is no caller's: take one of a caller here`);
}

/** The blobs and results of a caller; what an instance name means is as above. @throws {Fault} as `accessOf` */
export function viewOfCaller(instanceName: string, caller: Caller): StoreView {
  return callerAccess({ kind: 'caller', caller }, parseInstance(instanceName), instanceName).view;
}

function parseInstance(name: string): Instance {
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

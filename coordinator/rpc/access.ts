import type { Authenticator, Evidence } from '../../base/auth.ts';
import { ROLES, scopeChain, type Caller, type Role } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import { atLeast } from '../../base/zone.ts';
import type { BuildSpec } from '../core/spec.ts';

/** The least role for each rpc of the Build service. A test holds it against the descriptors. */
export const LEAST_ROLE = {
  GetServer: 'viewer',
  SubmitBuild: 'submitter',
  GetBuild: 'viewer',
  ListBuilds: 'viewer',
  WatchBuild: 'viewer',
  CancelBuild: 'submitter',
  RetryStep: 'submitter',
  StreamLog: 'viewer',
  ExplainStep: 'viewer',
  ListAgents: 'operator',
  SetHold: 'operator',
} as const satisfies Record<string, Role>;

export type BuildRpc = keyof typeof LEAST_ROLE;

/**
 * The caller behind a connection, if it may call `rpc`.
 * @throws {Fault} UNAUTHENTICATED; FORBIDDEN for an identity of another kind or too low a role, naming the role that would do.
 */
export function callerFor(rpc: BuildRpc, evidence: Evidence, authenticator: Authenticator): Caller {
  return callerWith(LEAST_ROLE[rpc], rpc, evidence, authenticator);
}

/** As `callerFor`, for an rpc that needs at least that role. */
export function callerWith(least: Role, rpc: string, evidence: Evidence, authenticator: Authenticator): Caller {
  const identity = authenticator.identify(evidence);
  if (identity.kind !== 'caller')
    throw new Fault('FORBIDDEN', `${rpc} is for callers, and this credential is for the ${identity.kind} ${identity.name}`);
  const { caller } = identity;
  if (!hasRole(caller, least)) {
    throw new Fault('FORBIDDEN', `${rpc} needs the role ${least}, but ${caller.name} has the role ${caller.role}`);
  }
  return caller;
}

function hasRole(caller: Caller, least: Role): boolean {
  return ROLES.indexOf(caller.role) >= ROLES.indexOf(least);
}

/**
 * Refuses to stop or run again what the caller could not have submitted: builds of a scope that is not its own or below that,
 * or of a zone above its ceiling. Operators may.
 * @throws {Fault} FORBIDDEN naming the scope or zone.
 */
export function refuseForeignBuild(caller: Caller, build: Pick<BuildSpec, 'scope' | 'zoneCeiling'>): void {
  if (hasRole(caller, 'operator')) return;
  const field = 'build_id';
  if (!scopeChain(build.scope).includes(caller.scope)) {
    throw new Fault('FORBIDDEN', `The build is of the scope ${build.scope}, and your credential is for ${caller.scope} and below`, {
      field,
    });
  }
  if (!atLeast(caller.zoneCeiling, build.zoneCeiling)) {
    throw new Fault('FORBIDDEN', `The build may run in the zone ${build.zoneCeiling}, your credential in ${caller.zoneCeiling} at most`, {
      field,
    });
  }
}

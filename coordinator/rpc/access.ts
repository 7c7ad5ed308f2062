import type { Authenticator, Evidence } from '../../base/auth.ts';
import { ROLES, type Caller, type Role } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';

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
  const identity = authenticator.identify(evidence);
  if (identity.kind !== 'caller')
    throw new Fault('FORBIDDEN', `${rpc} is for callers, and this credential is for the ${identity.kind} ${identity.name}`);
  const { caller } = identity;
  const least = LEAST_ROLE[rpc];
  if (ROLES.indexOf(caller.role) < ROLES.indexOf(least)) {
    throw new Fault('FORBIDDEN', `${rpc} needs the role ${least}, but ${caller.name} has the role ${caller.role}`);
  }
  return caller;
}

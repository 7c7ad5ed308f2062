import type { Identity } from '../../base/auth.ts';
import { hasRole, scopeChain, type Caller } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import { atLeast } from '../../base/zone.ts';
import type { BuildSpec } from '../core/spec.ts';

/** The caller of a call that is for callers only. @throws {Fault} FORBIDDEN */
export function callerOf({ identity }: { readonly identity: Identity }): Caller {
  if (identity.kind === 'caller') return identity.caller;
  throw new Fault('FORBIDDEN', `This is for callers, and this credential is for the ${identity.kind} ${identity.name}`);
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

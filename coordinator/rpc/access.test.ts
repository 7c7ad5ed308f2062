import { expect, test } from 'vitest';
import { hashToken, tokenAuthenticator } from '../../base/auth.ts';
import { ROLES, type Role } from '../../base/caller.ts';
import { loadProto } from '../../proto/load.ts';
import { callerFor, LEAST_ROLE, refuseForeignBuild, type BuildRpc } from './access.ts';

const RPCS = Object.keys(LEAST_ROLE) as BuildRpc[]; // the keys of a record with exactly these

const authenticator = tokenAuthenticator(
  [
    ...ROLES.map((role) => ({
      sha256: hashToken(role),
      identity: { kind: 'caller', caller: { name: role, role, project: 'p', scope: 'main', zoneCeiling: 'trusted' } } as const,
    })),
    { sha256: hashToken('agent'), identity: { kind: 'agent', name: 'a', cluster: 'c', pool: 'p', zone: 'trusted' } },
    { sha256: hashToken('service'), identity: { kind: 'service', name: 's' } },
  ],
  undefined,
);
const as = (token: string | undefined) => ({ authorization: token === undefined ? undefined : `Bearer ${token}`, loopback: true });

test('every rpc of the Build service has a least role, and no other has', () => {
  const served = Object.keys(loadProto().switchyard.v1.Build.service);
  expect(RPCS.toSorted()).toEqual(served.toSorted());
});

test.for(RPCS)('%s is open to its least role and those above, and closed to all others', (rpc) => {
  for (const role of ROLES) {
    const call = () => callerFor(rpc, as(role), authenticator);
    if (ROLES.indexOf(role) >= ROLES.indexOf(LEAST_ROLE[rpc])) expect(call().role).toBe(role);
    else
      expect(call).toThrow(
        expect.objectContaining({
          code: 'FORBIDDEN',
          message: `${rpc} needs the role ${LEAST_ROLE[rpc]}, but ${role} has the role ${role}`,
        }),
      );
  }
  for (const token of ['agent', 'service'])
    expect(() => callerFor(rpc, as(token), authenticator)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  for (const token of ['unknown', undefined])
    expect(() => callerFor(rpc, as(token), authenticator)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
});

test('what changes a build needs more than a viewer, and what holds agents back more than a submitter', () => {
  const least = (role: Role) => RPCS.filter((rpc) => LEAST_ROLE[rpc] === role);
  expect(least('submitter')).toEqual(['SubmitBuild', 'CancelBuild', 'RetryStep']);
  expect(least('operator')).toEqual(['ListAgents', 'SetHold']);
});

test.for([
  { scope: 'main', build: 'main', zone: 'trusted', may: true },
  { scope: 'main', build: 'main/pr-7', zone: 'untrusted', may: true },
  { scope: 'main/pr-7', build: 'main', zone: 'trusted', may: false },
  { scope: 'main/pr-7', build: 'main/pr-70', zone: 'trusted', may: false },
  { scope: 'main', build: 'main', zone: 'production', may: false },
] as const)('a submitter of $scope, trusted, may end or repeat a build of $build, $zone: $may', ({ scope, build, zone, may }) => {
  const caller = { name: 'c', role: 'submitter', project: 'p', scope, zoneCeiling: 'trusted' } as const;
  const spec = { scope: build, zoneCeiling: zone };
  const refused = expect.objectContaining({ code: 'FORBIDDEN', field: 'build_id' });
  if (may) expect(() => refuseForeignBuild(caller, spec)).not.toThrow();
  else expect(() => refuseForeignBuild(caller, spec)).toThrow(refused);
  expect(() => refuseForeignBuild({ ...caller, role: 'operator' }, spec)).not.toThrow();
});

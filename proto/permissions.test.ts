import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect, test } from 'vitest';
import { ROLES, type Role } from '../base/caller.ts';
import { anybody } from '../test/fixtures/anybody.ts';
import { withAdmission } from './admission.ts';
import { loadDefinition } from './load.ts';
import { PERMISSIONS, permissionOf, permit } from './permissions.ts';

/** Paths of all rpcs that our files define. */
function defined(): readonly string[] {
  return Object.values(loadDefinition()).flatMap((one) =>
    'format' in one ? [] : Object.values(one).map((method) => ('path' in method ? method.path : '')),
  );
}

const OPEN = /^\/grpc\.(health|reflection)\.|^\/switchyard\.v1\.Identity\/(GetAuthorities|Enrol)$/;
const declared = Object.entries(PERMISSIONS).flatMap(([service, rpcs]) => Object.keys(rpcs).map((rpc) => `/${service}/${rpc}`));

test('every rpc of every definition has a permission, and nothing else has', () => {
  expect(declared.filter((path) => !path.startsWith('/grpc.')).toSorted()).toEqual(defined().toSorted());
});

test('only what probes and tools look at is open, and what agents need that have no credential yet', () => {
  expect(declared.filter((path) => permissionOf(path) === 'open')).toEqual(declared.filter((path) => OPEN.test(path)));
});

test('a service with an rpc that has no permission is not served', () => {
  const foreign = loadPackageDefinition(loadSync('bytestream.proto', { includeDirs: [`${import.meta.dirname}/google/bytestream`] }));
  const definition = (foreign as unknown as { google: { bytestream: { ByteStream: { service: Record<string, { path: string }> } } } })
    .google.bytestream.ByteStream.service; // the shape of the file
  const renamed = Object.fromEntries(Object.entries(definition).map(([name, one]) => [name, { ...one, path: `/other.Service/${name}` }]));
  expect(() => withAdmission(renamed as never, {}, { authenticator: anybody(), tlsOf: () => undefined })).toThrow(
    '/other.Service/Read has no permission',
  );
});

/** The rpcs whose least role it is. */
const least = (role: Role) =>
  declared.filter((path) => {
    const permission = permissionOf(path);
    return permission !== 'open' && permission.role === role;
  });

test('nothing that changes anything is open to viewers, and what holds agents back or purges is for operators and admins', () => {
  const names = (role: Role) => least(role).map((path) => path.slice(path.lastIndexOf('/') + 1));
  expect(
    names('viewer').filter((name) => /^(Submit|Cancel|Retry|Set|Put|Push|Purge|Update|Batch(?!Read)|Write|Delete|Execute)/.test(name)),
  ).toEqual([]);
  const ofBuilds = ['ListAgents', 'SetHold', 'ScaleIn', 'GetTopology', 'ListTopologies', 'PlanTopology'];
  const ofScaling = ['IsActive', 'StreamIsActive', 'GetMetricSpec', 'GetMetrics', 'StreamMetricSpec'];
  const identity = ['CreateEnrolment', 'RevokeEnrolment', 'Deny', 'Allow', 'ListAudit'];
  expect(names('operator').toSorted()).toEqual([...ofBuilds, ...ofScaling, 'ListEnrolments', 'ListDenials'].toSorted());
  expect(names('admin')).toEqual(['ApplyTopology', ...identity, 'PurgeEntries', 'PlanCollection']);
});

test('a role that is too low is told which would do, and an identity of another kind for whom the rpc is', () => {
  const caller = { name: 'ann', role: 'viewer', project: 'p', scope: 'main', zoneCeiling: 'trusted' } as const;
  const refused = (path: string, identity: Parameters<typeof permit>[2], message: string) =>
    expect(() => permit(path, permissionOf(path), identity)).toThrow(expect.objectContaining({ code: 'FORBIDDEN', message }));
  refused(
    '/switchyard.v1.Build/SubmitBuild',
    { kind: 'caller', caller },
    'SubmitBuild needs the role submitter, but ann has the role viewer',
  );
  refused(
    '/switchyard.v1.DataAccess/UpdateGrants',
    { kind: 'caller', caller: { ...caller, role: 'admin' } },
    'UpdateGrants is for services, and this credential is for the caller ann',
  );
  refused(
    '/switchyard.v1.EntryCache/FindEntry',
    { kind: 'agent', name: 'a', cluster: 'c', pool: 'p', zone: 'trusted' },
    'FindEntry is for callers and services, and this credential is for the agent a',
  );
  expect(ROLES).toEqual(['viewer', 'submitter', 'approver', 'operator', 'admin']);
});

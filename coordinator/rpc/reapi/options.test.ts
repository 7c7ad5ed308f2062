import { expect, test } from 'vitest';
import { loadProto } from '../../../proto/load.ts';
import { REAPI_LEAST_ROLE, type ReapiRpc } from './options.ts';

test('every rpc by which build tools run actions has a least role, and no other has', () => {
  const proto = loadProto();
  const served = [proto.build.bazel.remote.execution.v2.Execution.service, proto.google.longrunning.Operations.service];
  expect(Object.keys(REAPI_LEAST_ROLE).toSorted()).toEqual(served.flatMap((service) => Object.keys(service)).toSorted());
});

test('what runs or ends an action needs more than a viewer', () => {
  const rpcs = Object.keys(REAPI_LEAST_ROLE) as ReapiRpc[]; // the keys of a record with exactly these
  expect(rpcs.filter((rpc) => REAPI_LEAST_ROLE[rpc] !== 'viewer')).toEqual(['Execute', 'CancelOperation', 'DeleteOperation']);
});

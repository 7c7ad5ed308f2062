import { expect, test } from 'vitest';
import { callerOf, refuseForeignBuild } from './access.ts';

test('what is for callers is closed to agents and services', () => {
  const caller = { name: 'c', role: 'viewer', project: 'p', scope: 'main', zoneCeiling: 'trusted' } as const;
  expect(callerOf({ identity: { kind: 'caller', caller } })).toBe(caller);
  const service = { kind: 'service', name: 's' } as const;
  expect(() => callerOf({ identity: service })).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
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

import { expect, test } from 'vitest';
import { isFault } from '../../base/fault.ts';
import type { DependencyCache } from '../../proto/gen/switchyard/v1/DependencyCache.ts';
import { loadProto } from '../../proto/load.ts';
import { dependencyCachesOf } from './dependency-cache.ts';

const codec = loadProto().switchyard.v1.StepSpec;
const NPM: DependencyCache = { name: 'npm', paths: ['.npm'], key: 'linux-1' };

/** As they arrive: over the wire and back. */
function read(...dependencyCaches: readonly DependencyCache[]) {
  const { dependencyCaches: arrived } = codec.deserialize(codec.serialize({ dependencyCaches: [...dependencyCaches] }));
  return dependencyCachesOf(arrived, 'at');
}

function fault(...caches: readonly DependencyCache[]) {
  try {
    read(...caches);
  } catch (error) {
    if (isFault(error)) return [error.code, error.field];
    throw error;
  }
  throw new Error('Expected a fault');
}

test('paths are tidied, and a policy that is not said is both', () => {
  expect(read({ ...NPM, paths: ['./a//b/'], parts: [{ name: 'host.node', value: '24' }], fallback: ['linux-'] })).toEqual([
    {
      name: 'npm',
      paths: ['a/b'],
      key: 'linux-1',
      parts: [{ name: 'host.node', value: '24' }],
      fallback: ['linux-'],
      pulls: true,
      pushes: true,
    },
  ]);
  const policies = ['DEPENDENCY_POLICY_BOTH', 'DEPENDENCY_POLICY_PULL', 'DEPENDENCY_POLICY_PUSH'] as const;
  expect(policies.map((policy) => read({ ...NPM, policy }).map(({ pulls, pushes }) => [pulls, pushes])[0])).toEqual([
    [true, true],
    [true, false],
    [false, true],
  ]);
});

test.for<[DependencyCache[], string]>([
  [[{ ...NPM, name: '' }], 'at[0].name'],
  [[{ ...NPM, name: '../x' }], 'at[0].name'],
  [[{ ...NPM, paths: [] }], 'at[0].paths'],
  [[{ ...NPM, paths: ['.'] }], 'at[0].paths[0]'],
  [[{ ...NPM, paths: ['a', 'a/b'] }], 'at[0].paths[1]'],
  [[{ ...NPM, paths: Array.from({ length: 17 }, (_, index) => `p${index}`) }], 'at[0].paths'],
  [[{ ...NPM, key: '' }], 'at[0].key'],
  [[{ ...NPM, key: 'a\nb' }], 'at[0].key'],
  [[{ ...NPM, key: 'ü'.repeat(201) }], 'at[0].key'],
  [[{ ...NPM, fallback: [''] }], 'at[0].fallback[0]'],
  [[{ ...NPM, parts: [{ name: '', value: '' }] }], 'at[0].parts[0].name'],
  [[{ ...NPM, only: ['bin'] }], 'at[0].only'],
  [[{ ...NPM, policy: 'DEPENDENCY_POLICY_PULL', only: ['bin', '*.{h,c}'] }], 'at[0].only[1]'],
  [[{ ...NPM, policy: 'DEPENDENCY_POLICY_PULL', only: Array.from({ length: 33 }, () => 'bin') }], 'at[0].only'],
  [[NPM, { ...NPM, paths: ['other'] }], 'at[1].name'],
  [[NPM, { ...NPM, name: 'again' }], 'at[1].paths[0]'],
  [Array.from({ length: 17 }, (_, index) => ({ ...NPM, name: `n${index}`, paths: [`p${index}`] })), 'at'],
])('%j is refused, naming %s', ([caches, field]) => {
  expect(fault(...caches)).toEqual(['BAD_REQUEST', field]);
});

test('a part to take up, and what is kept beside contents, are as they were asked for', () => {
  const [pulled] = read({ ...NPM, policy: 'DEPENDENCY_POLICY_PULL', only: ['bin', '**/*.h'] });
  expect([pulled?.only, pulled?.keeps]).toEqual([['bin', '**/*.h'], undefined]);
  const kept = [{ keepModes: true }, { keepMtimes: true }, { keepModes: true, keepMtimes: true }];
  expect(kept.map((one) => read({ ...NPM, ...one })[0]?.keeps)).toEqual([['modes'], ['mtimes'], ['modes', 'mtimes']]);
});

test('a path that leads out is refused as such', () => {
  expect(fault({ ...NPM, paths: ['../x'] })).toEqual(['PATH_ESCAPES', 'at[0].paths[0]']);
});

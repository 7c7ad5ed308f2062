import { expect, test } from 'vitest';
import { lintPipeline } from './lint.ts';
import { loadPipeline, type PipelineContext } from './load.ts';
import { formatProblem } from '../../base/document/problem.ts';

const CONTEXT: PipelineContext = {
  env: {},
  git: { branch: 'main', commit: '', tag: '' },
  host: { platform: 'linux-x64', node: '24.0.0' },
  defaultName: 'work',
  params: new Map(),
  hashFiles: (patterns) =>
    patterns.includes('gone')
      ? { wrong: 'nothing matches "gone"' }
      : { digest: 'abc', files: patterns.map((path) => ({ path, digest: 'f00' })) },
};

function load(step: string) {
  return loadPipeline(`version: 1\nsteps:\n  a: { run: x, timeout: 1m, inputs: [src], ${step} }\n`, CONTEXT);
}

function cachesOf(step: string) {
  const { plan, problems } = load(step);
  if (plan === undefined) throw new Error(problems.map((problem) => formatProblem('f.yaml', problem)).join('\n'));
  return plan.steps[0]?.dependencyCaches;
}

function mistakes(step: string): readonly string[] {
  return load(step).problems.map(({ message }) => message);
}

test('one is enough for most: a path, a key, and what the key is made of is remembered', () => {
  const key = "${{ host.platform }}-node${{ host.node }}-${{ hash('package-lock.json') }}";
  expect(cachesOf(`dependencyCache: { paths: ./node_modules/, key: "${key}", fallback: "linux-x64-" }`)).toEqual([
    {
      name: 'node_modules',
      paths: ['node_modules'],
      key: 'linux-x64-node24.0.0-abc',
      parts: [
        { name: 'host.platform', value: 'linux-x64' },
        { name: 'host.node', value: '24.0.0' },
        { name: 'file package-lock.json', value: 'f00' },
        { name: 'key template', value: key },
      ],
      fallback: ['linux-x64-'],
      policy: 'both',
      only: [],
      keepModes: false,
      keepMtimes: false,
    },
  ]);
});

test('several are told apart by name; a key may be a number, and comes through templates and matrices', () => {
  const caches = cachesOf(
    'matrix: { node: [22] }, dependencyCache: [{ paths: .npm, key: "${{ matrix.node }}" }, { name: b, paths: [c, d], key: 7, policy: pull }]',
  );
  expect(caches?.map(({ name, key, policy, parts }) => [name, key, policy, parts.length])).toEqual([
    ['npm', '22', 'both', 2],
    ['b', '7', 'pull', 1],
  ]);
});

test.for([
  ['dependencyCache: { paths: a }', 'is missing'],
  ['dependencyCache: { key: a }', 'is missing'],
  ['dependencyCache: []', 'the list is empty'],
  ['dependencyCache: { paths: ../a, key: k }', '"../a" is not a path inside the work tree'],
  ['dependencyCache: { paths: ., key: k }', 'a path must be a directory below the working directory'],
  ['dependencyCache: { paths: a, key: "" }', '"" is not the key of a dependency cache'],
  ['dependencyCache: { paths: a, key: k, fallback: [""] }', '"" is not the key of a dependency cache'],
  ['dependencyCache: { paths: a, key: k, policy: never }', '"never" is not one of both, pull, push'],
  ['dependencyCache: { paths: a, key: k, only: bin }', '"only" takes up a part, which cannot be left as the whole'],
  ['dependencyCache: { paths: a, key: k, only: bin, policy: push }', '"only" takes up a part, which cannot be left as the whole'],
  ['dependencyCache: { paths: a, key: k, only: [], policy: pull }', 'the list is empty'],
  [
    'dependencyCache: { paths: a, key: k, only: "*.{h,c}", policy: pull }',
    '"*.{h,c}" in "only": its wildcards are "*", "?" and "**", nothing else: write several globs',
  ],
  ['dependencyCache: { paths: a, key: k, mtimes: git }', '"git" is not one of fixed, preserve'],
  ['dependencyCache: { paths: a, key: k, modes: all }', '"all" is not one of executable, full'],
  ['dependencyCache: { paths: [a/b, a], key: k }', 'the path "a" holds "a/b", which is a path of its own'],
  ['dependencyCache: [{ paths: a, key: k }, { paths: a, key: l, name: n }]', 'the path "a" holds "a", which is a path of its own'],
  ['dependencyCache: [{ paths: a, key: k, name: n }, { paths: b, key: l, name: n }]', 'two are named "n"'],
  [`dependencyCache: { paths: a, key: "\${{ hash('gone') }}" }`, `in the expression "hash('gone')": nothing matches "gone"`],
  [`dependencyCache: { paths: a, key: ${'k'.repeat(401)} }`, `"${'k'.repeat(401)}" is not the key of a dependency cache`],
] as const)('%s: %s', ([step, message]) => {
  expect(mistakes(step)).toContain(message);
});

test('a part to take up, and what is kept beside contents, are said in words', () => {
  const key = '"${{ git.branch }}"';
  expect(cachesOf(`dependencyCache: { paths: sdk, key: ${key}, policy: pull, only: [bin, "lib/*.so"] }`)).toMatchObject([
    { only: ['bin', 'lib/*.so'], keepModes: false, keepMtimes: false },
  ]);
  expect(cachesOf(`dependencyCache: { paths: target, key: ${key}, modes: full, mtimes: preserve }`)).toMatchObject([
    { only: [], keepModes: true, keepMtimes: true },
  ]);
  expect(cachesOf(`dependencyCache: { paths: target, key: ${key}, modes: executable, mtimes: fixed }`)).toMatchObject([
    { only: [], keepModes: false, keepMtimes: false },
  ]);
});

test('words of other CI systems lead to the field that is meant', () => {
  const hints = (step: string) => load(step).problems.map(({ hint }) => hint);
  expect(hints('dependencyCache: { path: a, key: k, restore-keys: [l] }')).toEqual(['Did you mean "paths"?', 'Did you mean "fallback"?']);
  expect(hints('cache: { paths: [a] }')).toEqual(['Directories to keep from run to run stand in "dependencyCache", beside "cache".']);
});

test('the linter warns of keys that never change, of patterns, and of inputs in the way', () => {
  const rules = (step: string) => lintPipeline(load(step), () => false).map(({ rule }) => rule);
  expect(rules('dependencyCache: { paths: a, key: k }')).toEqual(['dependency-cache-key-constant']);
  expect(rules('dependencyCache: { paths: a, key: k, policy: pull }')).toEqual([]);
  expect(rules('dependencyCache: { paths: "a/*", key: "${{ git.branch }}" }')).toEqual(['pattern-in-dependency-cache']);
  expect(rules('dependencyCache: { paths: src/gen, key: "${{ git.branch }}" }')).toEqual(['inputs-hold-dependency-cache']);
});

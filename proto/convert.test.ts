import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FAILURE_CLASSES, type FailureClass } from '../base/failure.ts';
import { isFault } from '../base/fault.ts';
import { SANDBOX_TRAITS } from '../base/sandbox-trait.ts';
import { ZONES } from '../base/zone.ts';
import type { AttemptReport, DependencyReport, DirectoryOutput, OutputEntry, StepResult } from '../cache/action/result.ts';
import { digestOf } from '../cache/digest.ts';
import {
  attemptReportFromProto,
  attemptReportToProto,
  countFromProto,
  demandFromProto,
  digestFromProto,
  failureClassFromProto,
  failureClassToProto,
  outputFromProto,
  resourcesFromProto,
  resourcesToProto,
  sandboxTraitFromProto,
  sandboxTraitsFromProto,
  sandboxTraitToProto,
  zoneFromProto,
  zoneToProto,
} from './convert.ts';
import { loadProto } from './load.ts';

const digest = fc.uint8Array({ maxLength: 8 }).map((bytes) => digestOf(bytes));
const count = fc.maxSafeNat();
const segment = fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/);
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const output: fc.Arbitrary<OutputEntry> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), path, digest, executable: fc.boolean() }),
  fc.record({ kind: fc.constant('directory' as const), path, tree: digest, root: digest, bytes: count }),
  fc.record({ kind: fc.constant('symlink' as const), path, target: path }),
);
const usage = fc.record({
  cpuMs: count,
  peakMemoryBytes: count,
  bytesIn: count,
  bytesOut: count,
  prepareMs: count,
  runMs: count,
  uploadMs: count,
});
const result: fc.Arbitrary<StepResult> = fc.record({
  exitCode: fc.integer({ min: -255, max: 255 }),
  outputs: fc.array(output, { maxLength: 4 }),
  log: fc.option(fc.record({ digest, truncated: fc.boolean() }), { nil: undefined }),
  usage,
  agent: segment,
  startedAt: count,
  endedAt: count,
});
const classes = Object.keys(FAILURE_CLASSES) as FailureClass[]; // the keys of a record with exactly these
const tree: fc.Arbitrary<DirectoryOutput> = fc.record({
  kind: fc.constant('directory' as const),
  path: segment,
  tree: digest,
  root: digest,
  bytes: count,
});
const dependency: fc.Arbitrary<DependencyReport> = fc
  .record({
    name: segment,
    placeProblem: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    restores: fc.array(fc.record({ path: segment, rung: fc.constantFrom('overlay', 'fetch', 'of-a-later-agent'), bytesIn: count }), {
      maxLength: 2,
    }),
    save: fc.oneof(
      fc.record({ kind: fc.constant('none' as const) }),
      fc.record({ kind: fc.constant('stored' as const), trees: fc.array(tree, { maxLength: 3 }) }),
      fc.record({ kind: fc.constant('dropped' as const), problem: fc.string() }),
    ),
  })
  .map(({ placeProblem, restores, ...rest }) => ({
    ...rest,
    ...(placeProblem === undefined ? {} : { placeProblem }),
    ...(restores.length === 0 ? {} : { restores }),
  }));
const dependencies = fc.array(dependency, { maxLength: 3 }).map((all) => (all.length === 0 ? {} : { dependencies: all }));
const ended: fc.Arbitrary<AttemptReport> = fc.oneof(
  fc.record({ kind: fc.constant('succeeded' as const), result }),
  fc.record({
    kind: fc.constant('failed' as const),
    class: fc.constantFrom(...classes),
    message: fc.string({ unit: 'grapheme' }),
    result: fc.option(result, { nil: undefined }),
  }),
);
const report: fc.Arbitrary<AttemptReport> = fc.tuple(ended, dependencies).map(([end, said]) => ({ ...end, ...said }));

function faultOf(run: () => unknown): { code: string; field: string | undefined; message: string } {
  try {
    run();
  } catch (error) {
    if (isFault(error)) return { code: error.code, field: error.field, message: error.message };
    throw error;
  }
  throw new Error('Expected a fault');
}

test('an attempt report comes back from the wire as it went', () => {
  const codec = loadProto().switchyard.v1.AttemptReport;
  fc.assert(
    fc.property(report, (value) => {
      const wire = codec.deserialize(codec.serialize(attemptReportToProto(value)));
      expect(attemptReportFromProto(wire, 'report')).toEqual(value);
    }),
  );
});

test('a dependency cache whose stored directories cannot be read counts as dropped, and the report stands', () => {
  const codec = loadProto().switchyard.v1.AttemptReport;
  const result = { exitCode: 0, usage: {} };
  const stored = [{ path: '../out', symlink: { target: 'x' } }];
  const wire = codec.deserialize(codec.serialize({ result, dependencies: [{ name: 'npm', save: 'SAVE_STORED', stored }] }));
  expect(attemptReportFromProto(wire, 'report')).toMatchObject({
    kind: 'succeeded',
    dependencies: [{ name: 'npm', save: { kind: 'dropped', problem: expect.stringContaining('malformed') } }],
  });
});

test('resources come back from the wire as they went', () => {
  const codec = loadProto().switchyard.v1.Resources;
  const resources = fc.record({ cpuMillis: count, memoryBytes: count, slots: fc.nat(), custom: fc.dictionary(segment, count) });
  fc.assert(
    fc.property(resources, (value) => {
      const wire = codec.deserialize(codec.serialize(resourcesToProto(value)));
      expect(resourcesFromProto(wire, 'resources')).toEqual({ ...value, custom: { ...value.custom } });
    }),
  );
});

test('every zone, trait and failure class has its own name on the wire', () => {
  for (const zone of ZONES) expect(zoneFromProto(zoneToProto(zone), 'zone')).toBe(zone);
  for (const trait of SANDBOX_TRAITS) expect(sandboxTraitFromProto(sandboxTraitToProto(trait), 'sandbox')).toBe(trait);
  for (const name of classes) expect(failureClassFromProto(failureClassToProto(name), 'class')).toBe(name);
  expect(failureClassFromProto('FAILURE_CLASS_UNSPECIFIED', 'class')).toBeUndefined();
});

test('a step that names no slots takes one, an agent that names none has none', () => {
  expect(demandFromProto(null, 'resources').slots).toBe(1);
  expect(resourcesFromProto(null, 'resources').slots).toBe(0);
});

test('an unspecified zone is an error unless there is a default', () => {
  expect(zoneFromProto('ZONE_UNSPECIFIED', 'zone', 'untrusted')).toBe('untrusted');
  expect(faultOf(() => zoneFromProto('ZONE_UNSPECIFIED', 'steps[0].zone'))).toMatchObject({ code: 'BAD_REQUEST', field: 'steps[0].zone' });
  expect(faultOf(() => zoneFromProto(77, 'zone', 'untrusted')).code).toBe('BAD_REQUEST');
});

test.for([
  { why: 'a missing digest', run: () => digestFromProto(null, 'a.digest'), field: 'a.digest' },
  { why: 'an upper-case hash', run: () => digestFromProto({ hash: 'A'.repeat(64), sizeBytes: '1' }, 'd'), field: 'd' },
  { why: 'a negative size', run: () => digestFromProto({ hash: 'a'.repeat(64), sizeBytes: '-1' }, 'd'), field: 'd.size_bytes' },
  { why: 'a count beyond 2^53', run: () => countFromProto('9007199254740993', 'n'), field: 'n' },
  { why: 'an unknown trait', run: () => sandboxTraitsFromProto(['SANDBOX_TRAIT_UNSPECIFIED'], 'sandbox'), field: 'sandbox[0]' },
])('$why is refused, naming the field', ({ run, field }) => {
  const fault = faultOf(run);
  expect(fault).toMatchObject({ code: 'BAD_REQUEST', field });
  expect(fault.message).toContain(field);
});

test.for(['.', '..', '../up', '../../up/there', 'a', 'a/b'])('the output path %j is taken as it is', (path) => {
  const digest = { hash: '0'.repeat(64), sizeBytes: '1' };
  // The parts that are read.
  const entry = { path, file: { digest, executable: false } } as unknown as Parameters<typeof outputFromProto>[0];
  expect(outputFromProto(entry, 'outputs[0]').path).toBe(path);
});

test.for(['', '/etc/passwd', '../', '..//up', '../a/../b', 'a/../../b', 'a/..', 'a//b', './a', 'a\0b'])(
  'the output path %j is refused as an escape',
  (bad) => {
    // The parts that are read.
    const entry = { path: bad, symlink: { target: 'x' } } as unknown as Parameters<typeof outputFromProto>[0];
    expect(faultOf(() => outputFromProto(entry, 'outputs[0]'))).toMatchObject({ code: 'PATH_ESCAPES', field: 'outputs[0].path' });
  },
);

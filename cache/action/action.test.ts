import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadProto } from '../../proto/load.ts';
import { EMPTY_DIGEST, digestOf } from '../digest.ts';
import { buildTree } from '../tree/build.ts';
import { encodeDirectory } from '../tree/directory.ts';
import { actionOf, type ActionFields } from './action.ts';
import { decodeStepResult, encodeStepResult } from './action-result.ts';
import { referencesOf, referencesOfTree } from './references.ts';
import type { OutputEntry, StepResult } from './result.ts';
import { decodeTree, encodeTree } from './tree-message.ts';

const v2 = loadProto().build.bazel.remote.execution.v2;

const FIELDS: ActionFields = {
  command: ['sh', '-c', 'echo "ü"', ''],
  env: { B: '2', A: '', PATH: '/bin' },
  workingDirectory: 'pkg',
  outputs: ['z', 'a/b'],
  inputRoot: EMPTY_DIGEST,
  passEnv: ['HOME'],
  selector: 'class=edge',
  zone: 'trusted',
  sandbox: ['isolatesFiles'],
  network: false,
  cacheable: true,
  salt: 'v1',
};

describe('an action', () => {
  test('is what protobuf reads as the step', () => {
    const { action, command, blobs } = actionOf(FIELDS);
    const message = v2.Action.deserialize(Buffer.from(blobs.get(action) ?? []));
    expect(message.commandDigest).toEqual({ hash: command.slice(0, 64), sizeBytes: command.slice(65) });
    expect(message.inputRootDigest).toEqual({ hash: EMPTY_DIGEST.slice(0, 64), sizeBytes: '0' });
    expect([message.doNotCache, message.salt.toString()]).toEqual([false, 'v1']);
    const run = v2.Command.deserialize(Buffer.from(blobs.get(command) ?? []));
    expect(run.arguments).toEqual(FIELDS.command);
    expect(run.environmentVariables).toEqual([
      { name: 'A', value: '' },
      { name: 'B', value: '2' },
      { name: 'PATH', value: '/bin' },
    ]);
    expect([run.outputPaths, run.workingDirectory]).toEqual([['a/b', 'z'], 'pkg']);
    expect(run.platform).toEqual(message.platform);
    expect(run.platform?.properties.map(({ name, value }) => `${name}=${value}`)).toEqual([
      'pass-env=HOME',
      'sandbox=isolatesFiles',
      'selector=class=edge',
      'zone=trusted',
    ]);
  });

  test('has the same digest whatever the order of what has none, and another one for every other change', () => {
    const { action } = actionOf(FIELDS);
    expect(actionOf({ ...FIELDS, env: { PATH: '/bin', A: '', B: '2' }, outputs: ['a/b', 'z', 'z'] }).action).toBe(action);
    const changes: Partial<ActionFields>[] = [
      { command: ['sh', '-c', 'echo "ü"'] },
      { env: { ...FIELDS.env, B: '3' } },
      { env: { ...FIELDS.env, C: '' } },
      { workingDirectory: '' },
      { outputs: ['z'] },
      { inputRoot: digestOf(Buffer.from('x')) },
      { passEnv: [] },
      { selector: 'class=central' },
      { zone: 'production' },
      { sandbox: [] },
      { network: true },
      { cacheable: false },
      { salt: 'v2' },
    ];
    const digests = changes.map((change) => actionOf({ ...FIELDS, ...change }).action);
    expect(new Set([action, ...digests]).size).toBe(changes.length + 1);
  });
});

const digest = fc.uint8Array({ maxLength: 8 }).map((bytes) => digestOf(bytes));
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const output: fc.Arbitrary<OutputEntry> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), path: fc.string(), digest, executable: fc.boolean() }),
  fc.record({ kind: fc.constant('directory' as const), path: fc.string(), tree: digest, root: digest, bytes: count }),
  fc.record({ kind: fc.constant('symlink' as const), path: fc.string(), target: fc.string({ minLength: 1 }) }),
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
const log = fc.oneof(
  fc.constant({ log: undefined }),
  fc.record({ log: fc.record({ digest, truncated: fc.boolean() }) }),
  fc.record({
    log: fc.record({ digest, truncated: fc.boolean() }),
    streams: fc.oneof(fc.record({ stderr: digest }), fc.record({ stdout: digest, stderr: digest })),
  }),
);
const result: fc.Arbitrary<StepResult> = fc
  .tuple(
    log,
    fc.record({
      exitCode: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      outputs: fc.uniqueArray(output, { selector: ({ path }) => path, maxLength: 8 }),
      usage,
      agent: fc.string(),
      startedAt: fc.nat({ max: 4e12 }),
      endedAt: fc.nat({ max: 4e12 }),
    }),
  )
  .map(([logged, rest]) => ({ ...rest, ...logged }));

describe('a result', () => {
  test('comes back from an ActionResult as it was, also by way of protobuf', () => {
    const sorted = (value: StepResult) => ({
      ...value,
      outputs: value.outputs.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))),
    });
    fc.assert(
      fc.property(result, (value) => {
        const bytes = encodeStepResult(value);
        expect(decodeStepResult(bytes)).toEqual(sorted(value));
        expect(decodeStepResult(v2.ActionResult.serialize(v2.ActionResult.deserialize(Buffer.from(bytes))))).toEqual(sorted(value));
      }),
    );
  });

  test('names all its blobs', () => {
    fc.assert(
      fc.property(result, (value) => {
        const { files, trees } = referencesOf(encodeStepResult(value));
        const expected = value.outputs.flatMap((entry) => (entry.kind === 'file' ? [entry.digest] : []));
        const { stdout, stderr } = value.streams ?? {};
        const text = [stdout, stderr, value.log?.digest].filter((one) => one !== undefined);
        expect(files).toEqual([...expected, ...text]);
        expect(trees).toEqual(
          value.outputs.flatMap((entry) => (entry.kind === 'directory' ? [{ tree: entry.tree, root: entry.root }] : [])),
        );
      }),
    );
  });

  test('with a malformed digest is refused, naming the field', () => {
    const bad = v2.ActionResult.serialize({ outputFiles: [{ path: 'a', digest: { hash: 'XYZ', sizeBytes: 1 } }] });
    expect(() => referencesOf(bad)).toThrow('output_files.digest');
    expect(() => referencesOf(v2.ActionResult.serialize({ outputFiles: [{ path: 'a' }] }))).toThrow('output_files.digest is missing');
    expect(() => referencesOf(v2.ActionResult.serialize({ outputDirectories: [{ path: 'a' }] }))).toThrow(
      'output_directories.tree_digest is missing',
    );
  });
});

describe('a Tree', () => {
  test('holds each directory once, parents before children, with all their blobs', () => {
    const file = (path: string) => ({ kind: 'file' as const, path, digest: digestOf(Buffer.from('same')), executable: false });
    const tree = buildTree([file('a/x/f'), file('b/x/f'), file('b/g'), file('x/f'), { kind: 'directory', path: 'empty' }]);
    const bytes = encodeTree(tree.directories);
    const directories = decodeTree(bytes).map((directory) => digestOf(directory));
    expect(directories[0]).toBe(tree.root);
    expect(directories.toSorted()).toEqual([...tree.directories.keys()].toSorted());
    for (const [parent, directory] of tree.directories) {
      for (const child of directory.directories) expect(directories.indexOf(child.digest)).toBeGreaterThan(directories.indexOf(parent));
    }
    expect(v2.Tree.deserialize(Buffer.from(bytes)).children).toHaveLength(tree.directories.size - 1);
    expect(referencesOfTree(bytes, false)).toEqual(new Set([digestOf(Buffer.from('same'))]));
    expect(referencesOfTree(bytes, true)).toEqual(new Set([digestOf(Buffer.from('same')), ...tree.directories.keys()]));
    expect(encodeTree(new Map([[EMPTY_DIGEST, { files: [], directories: [], symlinks: [] }]])).byteLength).toBe(2);
    expect(encodeDirectory({ files: [], directories: [], symlinks: [] }).byteLength).toBe(0);
  });
});

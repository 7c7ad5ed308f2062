import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadProto } from '../../proto/load.ts';
import { digestOf } from '../digest.ts';
import { decodeDirectory, encodeDirectory, sortedDirectory, type Directory } from './directory.ts';

const name = fc
  .oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }), fc.constantFrom('a b', 'ü', '\n', '-', '\ufffd', '😀', '\uffee'))
  .map((text) => text.toWellFormed().replaceAll(/[/\0]/g, '_'))
  .filter((text) => text !== '.' && text !== '..');

const directory: fc.Arbitrary<Directory> = fc
  .uniqueArray(name, { maxLength: 12 })
  .chain((names) => fc.tuple(fc.constant(names), fc.array(fc.nat(3), { minLength: names.length, maxLength: names.length })))
  .map(([names, kinds]) => {
    const of = (kind: number) => names.filter((_, index) => kinds[index] === kind);
    return sortedDirectory({
      files: [...of(0), ...of(1)].map((file) => ({ name: file, digest: digestOf(Buffer.from(file)), executable: file.length % 2 === 0 })),
      directories: of(2).map((child) => ({ name: child, digest: digestOf(Buffer.from(child)) })),
      symlinks: of(3).map((link) => ({ name: link, target: `../${link}` })),
    });
  });

describe('directories', () => {
  test('decode to what was encoded, and are what protobuf makes of them', () => {
    const { Directory: codec } = loadProto().build.bazel.remote.execution.v2;
    fc.assert(
      fc.property(directory, (value) => {
        const bytes = encodeDirectory(value);
        expect(decodeDirectory(bytes)).toEqual(value);
        const message = codec.deserialize(Buffer.from(bytes));
        expect(message.files.map((file) => file.name)).toEqual(value.files.map((file) => file.name));
        expect(decodeDirectory(codec.serialize(message))).toEqual(value);
      }),
    );
  });
});

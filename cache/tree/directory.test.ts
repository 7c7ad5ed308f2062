import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadProto } from '../../proto/load.ts';
import { digestOf } from '../digest.ts';
import { compareNames, decodeDirectory, encodeDirectory, sortedDirectory, type Directory } from './directory.ts';
import type { NodeProperties } from './properties.ts';

const name = fc
  .oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }), fc.constantFrom('a b', 'ü', '\n', '-', '\ufffd', '😀', '\uffee'))
  .map((text) => text.toWellFormed().replaceAll(/[/\0]/g, '_'))
  .filter((text) => text !== '.' && text !== '..');

const properties: fc.Arbitrary<NodeProperties> = fc
  .record(
    {
      mtimeUs: fc.integer({ min: -1_000_000_000_000_000, max: 4_000_000_000_000_000 }),
      mode: fc.nat(0o777),
      named: fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[a-z]{1,4}$/), value: fc.stringMatching(/^[a-z]{0,4}$/) }), {
        minLength: 1,
        maxLength: 3,
        selector: (one) => one.name,
      }),
    },
    { requiredKeys: [] },
  )
  .map((value) => ({
    ...value,
    ...(value.named === undefined ? {} : { named: value.named.toSorted((a, b) => (a.name < b.name ? -1 : 1)) }),
  }));

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

describe('a directory', () => {
  test('decodes to what was encoded, and protobuf reads the same from the bytes', () => {
    const { Directory: codec } = loadProto().build.bazel.remote.execution.v2;
    fc.assert(
      fc.property(directory, (value) => {
        const bytes = encodeDirectory(value);
        expect(decodeDirectory(bytes)).toEqual(value);
        const message = codec.deserialize(Buffer.from(bytes));
        expect(message.files.map((file) => [file.name, file.isExecutable])).toEqual(
          value.files.map((file) => [file.name, file.executable]),
        );
        expect(message.symlinks.map((link) => [link.name, link.target])).toEqual(value.symlinks.map((link) => [link.name, link.target]));
        expect(decodeDirectory(codec.serialize(message))).toEqual(value);
      }),
    );
  });

  test('keeps what is said of its entries, as protobuf has it, and is the same as ever where nothing is said', () => {
    const { Directory: codec } = loadProto().build.bazel.remote.execution.v2;
    const digest = digestOf(Buffer.from('x'));
    fc.assert(
      fc.property(properties, (said) => {
        const given = Object.keys(said).length === 0 ? {} : { properties: said };
        const value: Directory = {
          files: [{ name: 'f', digest, executable: true, ...given }],
          directories: [],
          symlinks: [{ name: 'l', target: 't', ...given }],
          ...given,
        };
        const bytes = encodeDirectory(value);
        expect(decodeDirectory(bytes)).toEqual(value);
        const message = codec.deserialize(Buffer.from(bytes));
        expect(decodeDirectory(codec.serialize(message))).toEqual(value);
        const { mtime, unixMode } = message.files[0]?.nodeProperties ?? {};
        expect(unixMode?.value).toBe(said.mode);
        if (said.mtimeUs !== undefined) expect(Number(mtime?.seconds) * 1e6 + (mtime?.nanos ?? 0) / 1e3).toBeCloseTo(said.mtimeUs, 0);
      }),
    );
    const plain = { files: [{ name: 'f', digest, executable: false }], directories: [], symlinks: [] };
    expect(digestOf(encodeDirectory(plain))).toMatch(/^0d423f10/);
    const suid = codec.serialize({
      files: [{ name: 'f', digest: { hash: digest.slice(0, 64), sizeBytes: 1 }, nodeProperties: { unixMode: { value: 0o104755 } } }],
    });
    expect(decodeDirectory(suid).files[0]?.properties).toEqual({ mode: 0o755 });
  });

  test('has the same bytes whatever the order in which it came together', () => {
    fc.assert(
      fc.property(directory, (value) => {
        const reversed = {
          files: value.files.toReversed(),
          directories: value.directories.toReversed(),
          symlinks: value.symlinks.toReversed(),
        };
        expect(encodeDirectory(sortedDirectory(reversed))).toEqual(encodeDirectory(value));
      }),
    );
  });

  test('sorts names by their bytes', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(Math.sign(compareNames(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  test('is refused where it is not canonical or no message', () => {
    const digest = digestOf(Buffer.from('x'));
    const file = (entry: string) => ({ name: entry, digest, executable: false });
    const wrong: Record<string, Directory> = {
      'not in the order': { files: [file('b'), file('a')], directories: [], symlinks: [] },
      'two of that name': { files: [file('a')], directories: [{ name: 'a', digest }], symlinks: [] },
      '".."': { files: [file('..')], directories: [], symlinks: [] },
      '"a/b"': { files: [file('a/b')], directories: [], symlinks: [] },
      '""': { files: [file('')], directories: [], symlinks: [] },
      '\\u0000': { files: [file('a\0')], directories: [], symlinks: [] },
    };
    for (const [what, value] of Object.entries(wrong)) expect(() => encodeDirectory(value)).toThrow(what);
    const { Directory: codec } = loadProto().build.bazel.remote.execution.v2;
    const evil = codec.serialize({ directories: [{ name: '../../etc', digest: { hash: digest.slice(0, 64), sizeBytes: 1 } }] });
    expect(() => decodeDirectory(evil)).toThrow('"../../etc"');
    expect(() => decodeDirectory(Buffer.from('garbage'))).toThrow('Malformed Directory');
    expect(() => decodeDirectory(codec.serialize({ files: [{ name: 'a' }] }))).toThrow('no digest');
  });

  test('never makes the reader fail otherwise than with BAD_REQUEST', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeDirectory(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_REQUEST' });
        }
      }),
    );
  });
});

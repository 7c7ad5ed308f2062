import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Fault, type FaultCode } from '../../base/fault.ts';
import { chunked, expectFault, readAll } from '../../test/contract/blob-store.ts';
import { archiveOf, lookAt, made, readTar, withHeaderBytes, type Made } from '../../test/fixtures/tars.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import type { BlobStore } from '../blob-store.ts';
import { digestOf } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { importTar } from './import.ts';

const run = promisify(execFile);
const signal = new AbortController().signal;
const { file, symlink: link, hardlink, directory } = made;

const ENTRIES: readonly Made[] = [
  directory('./'),
  directory('./bin/'),
  file('./bin/run', '#!/bin/sh', 0o755),
  hardlink('./bin/again', 'bin/run'),
  file('deep/er/file', 'of three'),
  link('deep/link', '../bin/run'),
  link('absolute', '/usr/bin/env'),
  directory('empty'),
  file(`${'long/'.repeat(60)}name`, 'far down'),
  file('ünïcødé', '☃'),
];

const SEEN = {
  absolute: '-> /usr/bin/env',
  bin: '/',
  'bin/again': 'x:#!/bin/sh',
  'bin/run': 'x:#!/bin/sh',
  deep: '/',
  'deep/er': '/',
  'deep/er/file': 'of three',
  'deep/link': '-> ../bin/run',
  empty: '/',
  ünïcødé: '☃',
};

const refused = async (code: FaultCode, entries: readonly Made[], options = {}) =>
  await expectFault(code, readTar(await archiveOf(entries), options));

describe('reading an archive', () => {
  test('gives the tree that it holds, without what is no part of a tree', async () => {
    const tar = await readTar(await archiveOf(ENTRIES));
    const seen = await lookAt(tar);
    expect(seen).toMatchObject(SEEN);
    expect(seen[`${'long/'.repeat(60)}name`]).toBe('far down');
    expect(tar.fileCount).toBe(5);
    expect(tar.compression).toBe('none');
  });

  test('knows gzip and zstd by their first bytes, and says both digests', async () => {
    const plain = await archiveOf(ENTRIES);
    const { root } = await readTar(plain);
    // Several members, or frames, are one stream.
    const gzip = Buffer.concat([gzipSync(plain.subarray(0, 5_000)), gzipSync(plain.subarray(5_000))]);
    const zstd = Buffer.concat([zstdCompressSync(plain.subarray(0, 5_000)), zstdCompressSync(plain.subarray(5_000))]);
    for (const [compression, bytes] of Object.entries({ none: plain, gzip, zstd })) {
      expect(await readTar(bytes)).toMatchObject({ root, compression, digest: digestOf(bytes), diffId: digestOf(plain) });
    }
  });

  test('stores files of every size, large ones by way of the disk', async () => {
    const large = randomBytes(9 * 1024 * 1024);
    await using spool = await tempDir();
    const store = memoryStore();
    const source = chunked(await archiveOf([file('large', large), file('none', ''), file('more', large.subarray(0, 3_000_000))]), 100_003);
    await importTar(source, { store, spoolDir: spool.path }, signal);
    for (const bytes of [large, large.subarray(0, 0), large.subarray(0, 3_000_000)]) {
      expect(Buffer.compare(await readAll(store, digestOf(bytes)), bytes)).toBe(0);
    }
    expect(await readdir(spool.path)).toEqual([]);
  });

  test('takes the last of two files or links of the same name, and a directory twice', async () => {
    const entries = [
      file('a', '1'),
      file('a', '2'),
      link('b', 'x'),
      file('b', 'b'),
      file('c'),
      link('c', 'x'),
      directory('d'),
      file('d/e'),
      directory('d'),
    ];
    expect(await lookAt(await readTar(await archiveOf(entries)))).toEqual({ a: '2', b: 'b', c: '-> x', d: '/', 'd/e': 'd/e' });
  });

  test('leaves devices out where it may', async () => {
    const entries: readonly Made[] = [{ name: 'null', type: 'character-device', devmajor: 1 }, { name: 'pipe', type: 'fifo' }, file('a')];
    await refused('BAD_REQUEST', entries);
    const tar = await readTar(await archiveOf(entries), { special: 'skip' });
    expect(tar.skippedCount).toBe(2);
    expect(await lookAt(tar)).toEqual({ a: 'a' });
  });

  test.for(['gnu', 'pax', 'ustar', 'v7'])('reads what GNU tar writes as %s', async (format) => {
    await using dir = await tempDir();
    const top = join(dir.path, 'top');
    // What v7 takes at most.
    const long = `${'d'.repeat(30)}/${'f'.repeat(format === 'v7' ? 30 : 80)}`;
    await mkdir(join(top, long, '..'), { recursive: true });
    await writeFile(join(top, 'run'), 'run', { mode: 0o755 });
    await writeFile(join(top, long), 'long');
    await symlink('run', join(top, 'link'));
    const path = join(dir.path, 'made.tar');
    await run('tar', ['--format', format, '-cf', path, '-C', top, '.']);
    expect(await lookAt(await readTar(await readFile(path)))).toEqual({
      run: 'x:run',
      link: '-> run',
      [long]: 'long',
      ['d'.repeat(30)]: '/',
    });
  });

  test.for(['gnu', 'pax'])('refuses sparse files of GNU tar (%s), and says what to do', async (format) => {
    await using dir = await tempDir();
    const sparse = await open(join(dir.path, 'sparse'), 'w');
    await sparse.truncate(10_000_000);
    await sparse.write('end');
    await sparse.close();
    const path = join(dir.path, 'made.tar');
    await run('tar', ['--format', format, '--sparse', '-cf', path, '-C', dir.path, 'sparse']);
    const work = readTar(await readFile(path));
    await expectFault('BAD_REQUEST', work);
    await expect(work).rejects.toThrow(/sparse/);
  });
});

describe('what node-tar was led out of its directory with', () => {
  test('CVE-2026-23745: links to absolute paths, and then a write through them', async () => {
    await refused('PATH_ESCAPES', [hardlink('exploit', '/etc/passwd'), file('exploit', 'overwritten')]);
    await refused('PATH_ESCAPES', [link('exploit', '/etc'), file('exploit/passwd', 'overwritten')]);
    // A link alone is a text in the tree: it is not followed here.
    expect(await lookAt(await readTar(await archiveOf([link('exploit', '/etc')])))).toEqual({ exploit: '-> /etc' });
  });

  test('CVE-2026-24842: a hard link that is checked against its own directory and made against the root', async () => {
    await refused('PATH_ESCAPES', [directory('a/b/c'), hardlink('a/b/c/exploit', '../../../../etc/passwd')]);
    await refused('PATH_ESCAPES', [directory('a/b/c'), file('secret'), hardlink('a/b/c/exploit', '../../../secret')]);
  });

  test('CVE-2026-26960: a chain of links, each within the root by its text, and a hard link through it', async () => {
    const chain = [directory('a/b'), link('a/b/up', '..'), link('a/b/upper', 'up/../..'), link('out', 'a/b/upper')];
    await refused('PATH_ESCAPES', [...chain, hardlink('leak', 'out/etc/passwd')]);
    await refused('PATH_ESCAPES', [...chain, file('out/etc/cron.d/job', 'run me')]);
    await refused('PATH_ESCAPES', [...chain, directory('out/etc')]);
    await refused('BAD_REQUEST', [...chain, hardlink('leak', 'out')]);
  });
});

describe('an archive is refused', () => {
  test.for(['/absolute', '../out', 'a/../../out', 'a/..', '..', './../out'])('for the path %j', async (name) => {
    await refused('PATH_ESCAPES', [file(name, 'x')]);
    await refused('PATH_ESCAPES', [directory(name)]);
    await refused('PATH_ESCAPES', [link(name, 'x')]);
  });

  const OTHER: readonly (readonly [string, readonly Made[]])[] = [
    ['a path with a NUL byte', [{ ...file('x'), pax: { path: 'a\0b' } }]],
    ['a name of 256 bytes', [file('x'.repeat(256))]],
    ['a file as its root', [file('./', '')]],
    ['a link as its root', [link('.', 'x')]],
    ['a link to nowhere', [link('x', '')]],
    ['a file in the place of a directory', [directory('a'), file('a')]],
    ['a file in the place of a directory that was not mentioned', [file('a/b'), file('a')]],
    ['a directory in the place of a file', [file('a'), directory('a')]],
    ['a file below a file', [file('a'), file('a/b')]],
    ['a hard link to what comes later', [hardlink('a', 'b'), file('b')]],
    ['a hard link to a directory', [directory('b'), hardlink('a', 'b')]],
    ['a hard link to a link', [link('b', 'c'), hardlink('a', 'b')]],
    ['a size that is no number', [{ ...file('a'), pax: { size: '1x' } }]],
    ['a sparse file', [{ ...file('a'), pax: { 'GNU.sparse.major': '1' } }]],
  ];
  test.for(OTHER)('for %s', async ([, entries]) => {
    await refused('BAD_REQUEST', entries);
  });

  test('for what lies behind a link', async () => {
    await refused('PATH_ESCAPES', [link('a', 'b'), file('a/b')]);
    await refused('PATH_ESCAPES', [directory('b'), link('a', 'b'), directory('a')]);
    await refused('PATH_ESCAPES', [directory('b'), file('b/c'), link('a', 'b'), hardlink('d', 'a/c')]);
  });

  test.for([link('a', 'b'), hardlink('a', 'b'), { name: 'a', type: 'fifo' as const }])(
    'for bytes that a $type cannot have',
    async (entry) => {
      const bytes = withHeaderBytes(await archiveOf([file('b'), entry, file('c')]), 1_024, 124, Buffer.from('00000001000 '));
      await expectFault('BAD_REQUEST', readTar(bytes, { special: 'skip' }));
    },
  );

  test('for a name that is not UTF-8', async () => {
    const bytes = await archiveOf([file('na\u00efve')]);
    const plain = await archiveOf([file('naXve')]);
    await expectFault('BAD_REQUEST', readTar(withHeaderBytes(plain, 0, 2, Buffer.of(0xef))));
    expect(await lookAt(await readTar(bytes))).toEqual({ 'na\u00efve': 'na\u00efve' });
  });

  test('where it holds more than it may: bytes, entries, a path', async () => {
    const bomb = await archiveOf([file('zeros', new Uint8Array(64 * 1024 * 1024))]);
    for (const bytes of [bomb, gzipSync(bomb), zstdCompressSync(bomb)]) {
      await expectFault('TOO_LARGE', readTar(bytes, { limits: { bytes: 1024 * 1024 } }));
    }
    const many = Array.from({ length: 50 }, (_, index) => directory(`d${index}`));
    await refused('TOO_LARGE', many, { limits: { entries: 49 } });
    await refused('TOO_LARGE', [file('a/'.repeat(60))], { limits: { pathBytes: 100 } });
    await refused('BAD_REQUEST', [link('a', 'x'.repeat(101))], { limits: { pathBytes: 100 } });
  });

  test('wherever it is cut off, between two entries too', async () => {
    const bytes = await archiveOf([file('a', 'x'.repeat(600)), link('b', 'c'), file('d')]);
    for (let length = 0; length < bytes.byteLength - 512; length += 256) {
      await expectFault('BAD_REQUEST', readTar(bytes.subarray(0, length)));
    }
    for (const packed of [gzipSync(bytes), zstdCompressSync(bytes)]) {
      for (let length = 1; length < packed.byteLength; length += 41) await expectFault('BAD_REQUEST', readTar(packed.subarray(0, length)));
    }
  });

  test('where it is damaged, or something else', async () => {
    const bytes = await archiveOf([file('a', 'content')]);
    const damaged = Buffer.from(bytes);
    damaged[3] = 0x41;
    await expectFault('BAD_REQUEST', readTar(damaged));
    await expectFault('BAD_REQUEST', readTar(Buffer.from('PK\x03\x04 this is a zip'.padEnd(4_096, '.'))));
    await expectFault('BAD_REQUEST', readTar(Buffer.alloc(0)));
    const packed = gzipSync(bytes);
    packed[20] = (packed[20] ?? 0) ^ 0xff;
    await expectFault('BAD_REQUEST', readTar(packed));
  });
});

describe('what reading is stopped by', () => {
  test('a store that is full, for small files and large ones', async () => {
    const full: BlobStore = {
      ...memoryStore(),
      put: async () => {
        throw new Fault('STORE_FULL', 'no room');
      },
    };
    await refused('STORE_FULL', [file('small'), file('other')], { store: full });
    await refused('STORE_FULL', [file('large', new Uint8Array(5 * 1024 * 1024))], { store: full });
  });

  test('a source that breaks', async () => {
    const bytes = await archiveOf([file('a', new Uint8Array(100_000)), file('b')]);
    await using spool = await tempDir();
    const broken = async function* () {
      yield bytes.subarray(0, 50_000);
      throw new Error('the source broke');
    };
    const work = importTar(broken(), { store: memoryStore(), spoolDir: spool.path }, signal);
    await expect(work).rejects.toThrow('the source broke');
  });

  test('a caller who gives up', async () => {
    const giveUp = new AbortController();
    const bytes = await archiveOf([file('a', new Uint8Array(100_000)), file('b')]);
    await using spool = await tempDir();
    const source = async function* () {
      yield bytes.subarray(0, 50_000);
      giveUp.abort(new Error('enough'));
      yield bytes.subarray(50_000);
    };
    await expect(importTar(source(), { store: memoryStore(), spoolDir: spool.path }, giveUp.signal)).rejects.toThrow('enough');
  });
});

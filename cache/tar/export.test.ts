import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectFault } from '../../test/contract/blob-store.ts';
import { exported, lookAt, readTar, storeSketch } from '../../test/fixtures/tars.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { sketches, type Sketch } from '../../test/fixtures/trees.ts';
import { digestOf } from '../digest.ts';
import { memoryStore } from '../memory.ts';
import { decompressZstdSync } from '../zstd.ts';
import { exportTar } from './export.ts';
import { stackLayers } from './layer.ts';

const run = promisify(execFile);
const signal = new AbortController().signal;
const limits = { pathBytes: 100_000 };

type Drawn = Sketch extends Map<string, infer V> ? V : never;

const SKETCH: Sketch = new Map<string, Drawn>([
  ['run', { x: Buffer.from('#!/bin/sh\n') }],
  ['b', new Map([['file', Buffer.from('content')]])],
  ['a', new Map()],
  ['b.txt', Buffer.from('')],
  ['link', { to: 'b/file' }],
  ['x'.repeat(120), new Map([['y'.repeat(120), Buffer.from('far')]])],
]);

describe('writing an archive', () => {
  test('gives what tar reads: sorted, of nobody, of one time', async () => {
    const store = memoryStore();
    const { bytes } = await exported(await storeSketch(SKETCH, store), store);
    await using dir = await tempDir();
    const path = join(dir.path, 'made.tar');
    await writeFile(path, bytes);
    const { stdout } = await run('tar', ['--numeric-owner', '--utc', '-tvf', path]);
    expect(stdout.replaceAll(/x{120}/g, 'XX').replaceAll(/y{120}/g, 'YY')).toMatchInlineSnapshot(`
      "drwxr-xr-x 0/0               0 1970-01-01 00:00 a/
      drwxr-xr-x 0/0               0 1970-01-01 00:00 b/
      -rw-r--r-- 0/0               7 1970-01-01 00:00 b/file
      -rw-r--r-- 0/0               0 1970-01-01 00:00 b.txt
      lrwxrwxrwx 0/0               0 1970-01-01 00:00 link -> b/file
      -rwxr-xr-x 0/0              10 1970-01-01 00:00 run
      drwxr-xr-x 0/0               0 1970-01-01 00:00 XX/
      -rw-r--r-- 0/0               3 1970-01-01 00:00 XX/YY
      "
    `);
    const { stdout: later } = await run('tar', [
      '--utc',
      '-tvf',
      await made(dir.path, (await exported(await storeSketch(SKETCH, store), store, { mtime: 86_400_999 })).bytes),
    ]);
    expect(later).toContain('1970-01-02 00:00 run');
  });

  test('gives the same bytes every time, whatever the order in which the tree was made', async () => {
    const [one, two] = [memoryStore(), memoryStore()];
    const first = await storeSketch(SKETCH, one);
    const second = await storeSketch(new Map([...SKETCH].toReversed()), two);
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      const made = await exported(first, one, { compression });
      expect((await exported(second, two, { compression })).bytes.equals(made.bytes)).toBe(true);
      expect(made.digest).toBe(digestOf(made.bytes));
      const plain = { none: (b: Buffer) => b, gzip: gunzipSync, zstd: (b: Buffer) => decompressZstdSync(b, 1 << 20) }[compression](
        made.bytes,
      );
      expect(made.diffId).toBe(digestOf(plain));
    }
    // Written down so that a change of what is written shows.
    expect((await exported(first, one)).digest).toMatchInlineSnapshot(
      `"ad86213841f8989a4df2b31aad9069c9e1d6d96dc231915a994145999ab2820c-7680"`,
    );
  });

  test('can be left in the middle', async () => {
    const store = memoryStore();
    const root = await storeSketch(new Map([['big', Buffer.alloc(5_000_000)]]), store);
    for await (const chunk of exportTar(root, store, { compression: 'gzip' }, signal).bytes) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    await expectFault('BLOB_UNKNOWN', exported(digestOf(Buffer.from('nothing')), store));
  });

  test('says why a file could not be read', async () => {
    const store = memoryStore();
    const root = await storeSketch(SKETCH, store);
    const broken = {
      ...store,
      async *get(...args: Parameters<typeof store.get>) {
        if (args[0] === digestOf(Buffer.from('content'))) throw new Error('gone');
        yield* store.get(...args);
      },
    };
    await expect(exported(root, broken)).rejects.toThrow('gone');
  });
});

test('whatever tree is written is read as the same tree', async () => {
  await fc.assert(
    fc.asyncProperty(sketches, fc.constantFrom('none' as const, 'gzip' as const, 'zstd' as const), async (sketch, compression) => {
      const store = memoryStore();
      const root = await storeSketch(sketch, store);
      const made = await exported(root, store, { compression });
      const read = await readTar(made.bytes, { limits });
      expect(read).toMatchObject({ root, compression, digest: made.digest, diffId: made.diffId });
    }),
    { numRuns: 40 },
  );
});

describe('layers', () => {
  const sketch = (entries: Readonly<Record<string, Drawn>>): Sketch => new Map(Object.entries(entries));
  const text = (content: string) => Buffer.from(content);

  test('hold what makes one tree of another, and nothing else', async () => {
    const store = memoryStore();
    const base = await storeSketch(
      sketch({
        same: new Map([['deep', text('1')]]),
        gone: text('2'),
        dir: new Map([
          ['kept', text('3')],
          ['dropped', text('4')],
        ]),
        kind: new Map([['x', text('5')]]),
      }),
      store,
    );
    const root = await storeSketch(
      sketch({
        same: new Map([['deep', text('1')]]),
        added: text('6'),
        dir: sketch({ kept: text('3'), new: { x: text('7') } }),
        kind: { to: 'same' },
      }),
      store,
    );
    const layer = await readTar((await exported(root, store, { base, compression: 'gzip' })).bytes, { layer: true, store });
    expect(await lookAt({ ...layer, store })).toEqual({ added: '6', dir: '/', 'dir/new': 'x:7', kind: '-> same' });
    expect(layer.whiteouts).toEqual([['dir', 'dropped'], ['gone']]);
    expect((await stackLayers([{ root: base, whiteouts: [], opaque: [] }, layer], store, signal)).root).toBe(root);
  });

  test('whatever two trees there are, a layer makes the second one of the first', async () => {
    await fc.assert(
      fc.asyncProperty(sketches, sketches, async (before, after) => {
        const store = memoryStore();
        const [base, root] = [await storeSketch(before, store), await storeSketch(after, store)];
        const bottom = await readTar((await exported(base, store)).bytes, { layer: true, store, limits });
        const top = await readTar((await exported(root, store, { base, compression: 'zstd' })).bytes, { layer: true, store, limits });
        expect((await stackLayers([bottom, top], store, signal)).root).toBe(root);
      }),
      { numRuns: 40 },
    );
  });

  test('cannot hold names that would take something away', async () => {
    const store = memoryStore();
    const base = await storeSketch(new Map(), store);
    const root = await storeSketch(sketch({ d: new Map([['.wh.x', text('1')]]) }), store);
    await expectFault('BAD_REQUEST', exported(root, store, { base }));
    expect(await lookAt(await readTar((await exported(root, store)).bytes))).toEqual({ d: '/', 'd/.wh.x': '1' });
  });
});

async function made(dir: string, bytes: Uint8Array): Promise<string> {
  const path = join(dir, 'other.tar');
  await writeFile(path, bytes);
  return path;
}

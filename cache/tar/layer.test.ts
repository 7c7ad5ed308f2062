import { describe, expect, test } from 'vitest';
import { expectFault } from '../../test/contract/blob-store.ts';
import { archiveOf, lookAt, made, readTar, type Made } from '../../test/fixtures/tars.ts';
import { memoryStore } from '../memory.ts';
import { stackLayers } from './layer.ts';

const signal = new AbortController().signal;
const { file, symlink, hardlink, directory } = made;

async function stacked(...layers: readonly (readonly Made[])[]): Promise<Record<string, string>> {
  const store = memoryStore();
  const read = [];
  for (const entries of layers) read.push(await readTar(await archiveOf(entries), { layer: true, store }));
  const { root } = await stackLayers(read, store, signal);
  return await lookAt({ root, store });
}

const whiteout = (name: string) => file(name, '');

describe('layers of an image', () => {
  const base = [
    directory('etc'),
    file('etc/a'),
    file('etc/b'),
    directory('etc/d'),
    file('etc/d/x'),
    symlink('lib', 'usr/lib'),
    file('bin', 'b'),
  ];

  test('take away what they name, with all that is below it', async () => {
    expect(await stacked(base, [whiteout('etc/.wh.a'), whiteout('etc/.wh.d'), whiteout('.wh.lib'), whiteout('.wh.nothing')])).toEqual({
      bin: 'b',
      etc: '/',
      'etc/b': 'etc/b',
    });
  });

  test('show nothing below a directory that is opaque but what is their own, whatever comes first', async () => {
    const own = [file('etc/new'), whiteout('etc/.wh..wh..opq')];
    for (const layer of [own, own.toReversed()]) {
      expect(await stacked(base, layer)).toEqual({ bin: 'b', etc: '/', 'etc/new': 'etc/new', lib: '-> usr/lib' });
    }
  });

  test('take nothing away of their own', async () => {
    const layer = [file('etc/a', 'new'), whiteout('etc/.wh.a'), whiteout('.wh.bin'), directory('bin'), file('bin/sh')];
    expect(await stacked(base, layer)).toMatchObject({ 'etc/a': 'new', bin: '/', 'bin/sh': 'bin/sh' });
  });

  test('put what they have in the place of what is below, whatever it is, and follow no link of it', async () => {
    expect(await stacked(base, [file('etc'), file('lib/x'), symlink('bin', 'lib')])).toEqual({
      bin: '-> lib',
      etc: 'etc',
      lib: '/',
      'lib/x': 'lib/x',
    });
  });

  test('are laid one over the other in order', async () => {
    expect(await stacked([file('a', '1')], [whiteout('.wh.a')], [file('a', '3')])).toEqual({ a: '3' });
    expect(await stacked([file('a', '1')], [file('a', '2')], [whiteout('.wh.a')])).toEqual({});
  });

  test('may hold what a file system notes for itself, which is left out', async () => {
    const store = memoryStore();
    const notes = [directory('.wh..wh.plnk'), file('.wh..wh.aufs')];
    await expectFault('BAD_REQUEST', readTar(await archiveOf(notes), { layer: true, store }));
    const read = await readTar(await archiveOf([file('.wh..wh.aufs'), hardlink('.wh..wh.orph', 'x')]), { layer: true, store });
    expect(read).toMatchObject({ skippedCount: 2, fileCount: 0, whiteouts: [] });
  });

  test.for(['.wh.', 'a/.wh..', 'a/.wh...'])('cannot take away %j', async (name) => {
    await expectFault('BAD_REQUEST', readTar(await archiveOf([whiteout(name)]), { layer: true }));
  });

  test('are not looked for in an archive that is none', async () => {
    expect(await lookAt(await readTar(await archiveOf([whiteout('.wh.a')])))).toEqual({ '.wh.a': '' });
  });
});

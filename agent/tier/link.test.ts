import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { linkOrRotate } from './link.ts';

/** A file system that allows that many names of a file. */
function limited(namesMax: number): (existing: string, made: string) => void {
  return (existing, made) => {
    if (fs.statSync(existing).nlink >= namesMax) throw Object.assign(new Error('too many links'), { code: 'EMLINK' });
    fs.linkSync(existing, made);
  };
}

describe('links to a blob', () => {
  test('rotate to a copy when the file system allows no more names (failure mode 9)', async () => {
    await using dir = await tempDir();
    const blob = path.join(dir.path, 'blob');
    fs.writeFileSync(blob, 'content', { mode: 0o644 });
    fs.utimesSync(blob, 1_000, 1_000);
    let count = 0;
    const newPath = () => path.join(dir.path, `new-${count++}`);
    const targets = Array.from({ length: 10 }, (_, index) => path.join(dir.path, `target-${index}`));
    for (const target of targets) expect(linkOrRotate(blob, target, newPath, limited(4))).toBe(true);
    for (const target of targets) expect([fs.readFileSync(target, 'utf8'), fs.statSync(target).mtimeMs]).toEqual(['content', 1_000_000]);
    expect(new Set(targets.map((target) => fs.statSync(target).ino)).size).toBe(4);
    expect(Math.max(...targets.map((target) => fs.statSync(target).nlink))).toBeLessThanOrEqual(4);
    expect(fs.readdirSync(dir.path)).toHaveLength(11);
  });

  test('are not made where they cannot be, and other errors are told', async () => {
    await using dir = await tempDir();
    const blob = path.join(dir.path, 'blob');
    fs.writeFileSync(blob, 'content');
    const failing = (code: string) => () => {
      throw Object.assign(new Error(code), { code });
    };
    for (const code of ['EXDEV', 'EPERM']) expect(linkOrRotate(blob, path.join(dir.path, 'x'), () => '', failing(code))).toBe(false);
    expect(() => linkOrRotate(blob, path.join(dir.path, 'x'), () => '', failing('EIO'))).toThrow('EIO');
  });
});

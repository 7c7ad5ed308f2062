import { expect, test } from 'vitest';
import type { DependencyCacheView } from '../build-view.ts';
import { dependencyLines } from './dependency.ts';
import { styleFor } from './format.ts';

const FOUND: DependencyCacheView = {
  name: 'npm',
  key: 'k2',
  found: 'fallback',
  foundKey: 'k1',
  foundScope: 'main',
  why: ['package-lock.json has changed'],
  save: 'kept',
  warnings: [],
  restores: [
    { path: '.npm', rung: 'overlay', bytesIn: 0 },
    { path: 'more\u001b[2J', rung: 'fetch', bytesIn: 5 * 1024 ** 2 },
  ],
};

test('a dependency cache tells what it began with, how that came to its place, and what was kept', () => {
  expect(dependencyLines(FOUND, styleFor(false)).map((line) => line.trimEnd())).toEqual([
    'cache      npm: began with k1 of main, since there was no k2',
    '               package-lock.json has changed',
    '             .npm by overlay, 0 B fetched',
    expect.stringMatching(/^ {13}more.* by fetch, 5 MiB fetched$/),
    '             kept for later runs',
  ]);
  expect(dependencyLines(FOUND, styleFor(false)).join('\n')).not.toContain('\u001b');
});

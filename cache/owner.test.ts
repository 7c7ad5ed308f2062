import { expect, test } from 'vitest';
import { isScope } from '../base/caller.ts';
import { groupsOf, ownerOf, partitionOf } from './owner.ts';

test('an owner is the name of a directory, and back', () => {
  const owners = [
    { project: 'web', scope: 'main' },
    { project: 'web', scope: 'main/pr-7' },
    { project: 'web', scope: '.archive' },
    { project: 'web-main', scope: 'pr-7' },
    { project: 'p'.repeat(63), scope: `${'s'.repeat(170)}/a/b/c` },
  ];
  for (const owner of owners) {
    expect(ownerOf(partitionOf(owner))).toEqual(owner);
    expect(Buffer.byteLength(partitionOf(owner))).toBeLessThan(256);
    expect(partitionOf(owner)).not.toContain('/');
  }
  expect(new Set(owners.map(partitionOf)).size).toBe(owners.length);
  expect(groupsOf('web~main~pr-7')).toEqual(['web', 'main', 'pr-7']);
  for (const other of ['web', '', '~main', 'web~', '.tmp', 'web~~main', 'web~..']) expect(ownerOf(other)).toBeUndefined();
});

test('a scope is a path that leads nowhere else', () => {
  for (const scope of ['main', 'main/pr-7', '.archive', '...', 'a/..b', 'a/b/c/d/e/f/g/h'])
    expect([scope, isScope(scope)]).toEqual([scope, true]);
  for (const scope of [
    '',
    '.',
    '..',
    'main/..',
    '../main',
    'a/./b',
    '/main',
    'main/',
    'a//b',
    'a b',
    'a/b/c/d/e/f/g/h/i',
    's'.repeat(181),
  ]) {
    expect([scope, isScope(scope)]).toEqual([scope, false]);
  }
});

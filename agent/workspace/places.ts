import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../../base/fault.ts';
import { joinPath } from '../../cache/tree/path.ts';
import type { PlacedTree } from './workspace.ts';

/** The trees with their paths in the shortest form. @throws {Fault} BAD_REQUEST, PATH_ESCAPES */
export function checkPlaced(trees: readonly PlacedTree[]): readonly PlacedTree[] {
  const placed = trees.map((tree) => ({ ...tree, path: joinPath('', tree.path) }));
  for (const [index, tree] of placed.entries()) {
    if (tree.path === '') throw new Fault('BAD_REQUEST', 'placed: a tree cannot take the place of the input root', { field: 'placed' });
    const other = placed.find((one, at) => at !== index && `${tree.path}/`.startsWith(`${one.path}/`));
    if (other === undefined) continue;
    throw new Fault('BAD_REQUEST', `placed: "${tree.path}" lies in "${other.path}"; two trees cannot share a place`, { field: 'placed' });
  }
  return placed;
}

/** Makes the directory and those above it. The inputs may hold links: one that leads out of the root is refused. */
export function makeDirectory(root: string, relative: string, field: string): void {
  let at = root;
  for (const name of relative.split('/')) {
    if (name === '' || name === '.') continue;
    at = path.join(at, name);
    const stat = fs.statSync(at, { throwIfNoEntry: false });
    if (stat === undefined && fs.lstatSync(at, { throwIfNoEntry: false }) === undefined) fs.mkdirSync(at);
    else if (stat?.isDirectory() !== true) {
      throw new Fault('BAD_REQUEST', `${field}: ${JSON.stringify(relative)} needs a directory where the inputs have something else`, {
        field,
      });
    }
    const real = fs.realpathSync(at);
    if (!isBelow(real, fs.realpathSync(root))) {
      throw new Fault('PATH_ESCAPES', `${field}: ${JSON.stringify(relative)} leads out of the input root through a link`, { field });
    }
  }
}

function isBelow(real: string, root: string): boolean {
  return real === root || real.startsWith(root + path.sep);
}

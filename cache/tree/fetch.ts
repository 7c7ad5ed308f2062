import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { OutputEntry } from '../action/result.ts';
import type { BlobStore } from '../blob-store.ts';
import { materialise, removeTree, storeFileSource } from './materialise.ts';
import { linkEscapes, splitPath } from './path.ts';
import { WRITABLE_MODES, diskFault } from './place.ts';

/**
 * Brings a step's outputs into the directory `into`, each in the place of what is there under its name. What is outside of
 * `into` is never touched: no link on the way to an output is followed, and one in an output's own place is replaced. Each
 * output appears whole or not at all. The directory belongs to the caller: others must not change it meanwhile.
 * Links inside of an output that is a directory are made as they are, wherever they lead.
 * @throws {Fault} PATH_ESCAPES for an output that lies out of `into`, or is a link that leads out of it; BAD_REQUEST where a directory is in a
 * file's place or the reverse; whatever the store throws.
 */
export async function fetchOutputs(entries: readonly OutputEntry[], into: string, store: BlobStore, signal: AbortSignal): Promise<void> {
  const source = storeFileSource(store);
  for (const entry of entries) {
    const names = splitPath(entry.path);
    const last = names.pop();
    if (last === undefined) {
      if (entry.kind !== 'directory')
        throw new Fault('BAD_REQUEST', `"${entry.path}": a ${entry.kind} cannot take the directory's own place`);
      await fetchWhole(entry, into, store, signal);
      continue;
    }
    const parent = openParents(into, names, entry.path);
    const target = path.join(parent, last);
    const staged = path.join(parent, `.${last.slice(0, 100)}.${randomBytes(6).toString('hex')}.partial`);
    try {
      checkPlace(entry, target);
      if (entry.kind === 'directory') await materialise(entry.root, staged, source, signal);
      else if (entry.kind === 'file') {
        const mode = entry.executable ? WRITABLE_MODES.executable : WRITABLE_MODES.file;
        await source.placeFile({ path: staged, digest: entry.digest, executable: entry.executable, mode }, signal);
      } else {
        if (linkEscapes(entry.path, entry.target))
          throw new Fault('PATH_ESCAPES', `"${entry.path}" is a link to "${entry.target}", which is out of the tree`);
        fs.symlinkSync(entry.target, staged);
      }
      swapIn(staged, target);
    } catch (error) {
      removeTree(staged);
      throw diskFault(error, target);
    }
  }
}

/** Outputs that are the whole directory: each entry at its top takes its own place. */
async function fetchWhole(entry: OutputEntry & { kind: 'directory' }, into: string, store: BlobStore, signal: AbortSignal): Promise<void> {
  const staged = path.join(into, `.${randomBytes(6).toString('hex')}.partial`);
  try {
    await materialise(entry.root, staged, storeFileSource(store), signal);
    for (const name of fs.readdirSync(staged)) swapIn(path.join(staged, name), path.join(into, name));
  } finally {
    removeTree(staged);
  }
}

/** The directory for an output, made where it is missing; never through a link. */
function openParents(into: string, names: readonly string[], output: string): string {
  let at = into;
  for (const name of names) {
    at = path.join(at, name);
    const stat = fs.lstatSync(at, { throwIfNoEntry: false });
    if (stat === undefined) fs.mkdirSync(at);
    else if (stat.isSymbolicLink())
      throw new Fault('PATH_ESCAPES', `"${output}": "${at}" is a link; outputs are not written through links`);
    else if (!stat.isDirectory()) throw new Fault('BAD_REQUEST', `"${output}": "${at}" is in the way, it is no directory`);
  }
  return at;
}

function checkPlace(entry: OutputEntry, target: string): void {
  const stat = fs.lstatSync(target, { throwIfNoEntry: false });
  if (stat === undefined || stat.isSymbolicLink() || stat.isDirectory() === (entry.kind === 'directory')) return;
  throw new Fault('BAD_REQUEST', `"${entry.path}": ${stat.isDirectory() ? 'a directory' : 'a file'} is in its place`, {
    hint: 'Move it away.',
  });
}

/** Puts `staged` in the place of `target`. A directory there is moved aside first, and removed once the new one is in place. */
function swapIn(staged: string, target: string): void {
  const stat = fs.lstatSync(target, { throwIfNoEntry: false });
  const stagedIsDirectory = fs.lstatSync(staged).isDirectory();
  if (stat === undefined || (!stat.isDirectory() && !stagedIsDirectory)) {
    fs.renameSync(staged, target);
    return;
  }
  const aside = `${staged}.old`;
  fs.renameSync(target, aside);
  fs.renameSync(staged, target);
  removeTree(aside);
}

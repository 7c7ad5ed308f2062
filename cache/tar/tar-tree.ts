import { Fault } from '../../base/fault.ts';
import type { Digest } from '../digest.ts';
import { compareNames } from '../tree/directory.ts';
import type { TreeEntry } from '../tree/build.ts';

type Level = { readonly kind: 'level'; readonly children: Map<string, Node> };
type Leaf =
  | { readonly kind: 'file'; readonly digest: Digest; readonly executable: boolean }
  | { readonly kind: 'symlink'; readonly target: string };
type Node = Level | Leaf;

/** What is done where something of another kind is in an entry's way: refused, or put in the place of what was there. */
export type OnClash = 'refuse' | 'replace';

/**
 * A tree as an archive makes it, in memory only: no link is ever followed, since here a link is a text. A later file or link takes the
 * place of an earlier one; a directory that comes twice is one.
 */
export class TarTree {
  readonly #top: Level = { kind: 'level', children: new Map() };
  readonly #onClash: OnClash;

  constructor(onClash: OnClash) {
    this.#onClash = onClash;
  }

  /** @throws {Fault} PATH_ESCAPES where it would lie behind a link; BAD_REQUEST where something else is in the way */
  directory(names: readonly string[]): void {
    let at = this.#top;
    for (const [depth, name] of names.entries()) {
      let next = at.children.get(name);
      if (next?.kind !== 'level') {
        if (next !== undefined && this.#onClash === 'refuse') throw inTheWay(names, depth, next);
        next = { kind: 'level', children: new Map() };
        at.children.set(name, next);
      }
      at = next;
    }
  }

  /** @throws {Fault} as `directory` */
  leaf(names: readonly string[], leaf: Leaf): void {
    const [parents, name] = [names.slice(0, -1), names.at(-1)];
    if (name === undefined) throw new Fault('BAD_REQUEST', `A ${leaf.kind} cannot be the root of a tree`);
    this.directory(parents);
    const parent = this.#at(parents);
    if (parent?.kind !== 'level') return; // made above
    const there = parent.children.get(name);
    if (there?.kind === 'level' && this.#onClash === 'refuse') throw inTheWay(names, names.length - 1, there);
    parent.children.set(name, leaf);
  }

  /** The file that a hard link names: one that came before it, on a path without links. @throws {Fault} PATH_ESCAPES, BAD_REQUEST */
  fileAt(names: readonly string[], from: readonly string[]): Extract<Leaf, { kind: 'file' }> {
    let at: Node | undefined = this.#top;
    for (const name of names) {
      if (at?.kind === 'symlink') {
        throw new Fault(
          'PATH_ESCAPES',
          `Archive entry "${from.join('/')}" is a hard link to "${names.join('/')}", which lies behind a link`,
        );
      }
      at = at?.kind === 'level' ? at.children.get(name) : undefined;
    }
    if (at?.kind === 'file') return at;
    const what = at === undefined ? 'did not come before it' : at.kind === 'symlink' ? 'is a link itself' : 'is a directory';
    throw new Fault('BAD_REQUEST', `Archive entry "${from.join('/')}" is a hard link to "${names.join('/')}", which ${what}`);
  }

  /** Takes away what is there, with all that is below it. */
  remove(names: readonly string[]): void {
    const parent = this.#at(names.slice(0, -1));
    const name = names.at(-1);
    if (parent?.kind === 'level' && name !== undefined) parent.children.delete(name);
  }

  /** Takes away all that is below a directory. */
  clear(names: readonly string[]): void {
    const directory = this.#at(names);
    if (directory?.kind === 'level') directory.children.clear();
  }

  /** All of it, directories before what they hold. */
  *entries(): Generator<TreeEntry, void, undefined> {
    yield* entriesBelow(this.#top, '');
  }

  #at(names: readonly string[]): Node | undefined {
    let at: Node | undefined = this.#top;
    for (const name of names) at = at?.kind === 'level' ? at.children.get(name) : undefined;
    return at;
  }
}

function* entriesBelow(level: Level, prefix: string): Generator<TreeEntry, void, undefined> {
  for (const name of [...level.children.keys()].toSorted(compareNames)) {
    const node = level.children.get(name);
    const path = `${prefix}${name}`;
    if (node?.kind === 'level') {
      yield { kind: 'directory', path };
      yield* entriesBelow(node, `${path}/`);
    } else if (node !== undefined) yield { ...node, path };
  }
}

function inTheWay(names: readonly string[], depth: number, there: Node): Fault {
  const [path, at] = [names.join('/'), names.slice(0, depth + 1).join('/')];
  if (there.kind === 'symlink' && depth < names.length) {
    return new Fault('PATH_ESCAPES', `Archive entry "${path}" lies behind the link "${at}"`, { hint: 'Nothing is written through links.' });
  }
  const what = there.kind === 'level' ? 'directory' : there.kind;
  return new Fault('BAD_REQUEST', `Archive entry "${path}": the archive has a ${what} "${at}" already`);
}

import type { EntryKey, Owner } from './store-index.ts';

/** An owner as one text. Neither part has a NUL, so that owners are different where their texts are, and sort as project, scope. */
export function ownerText({ project, scope }: Owner): string {
  return `${project}\0${scope}`;
}

/** The owner of a text of `ownerText`. */
export function ownerOfText(text: string): Owner {
  const at = text.indexOf('\0');
  return { project: text.slice(0, at), scope: text.slice(at + 1) };
}

/** An entry's name as one text, which sorts as project, scope, kind, key. The key is last: it may hold anything. */
export function entryText({ kind, owner, key }: EntryKey): string {
  return `${ownerText(owner)}\0${kind}\0${key}`;
}

/** Order by the bytes of UTF-8, as SQLite and Redis compare; JavaScript's own order differs beyond the basic plane. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

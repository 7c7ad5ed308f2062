import { parseDigest } from '../../cache/digest.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import type { EntryAdmin } from '../../cache/rpc/entry-admin.ts';
import type { EntryKind } from '../../cache/store-index/store-index.ts';

/** What of the cache goes by a key that somebody wrote. */
export type KeySearch = {
  readonly kind: EntryKind;
  /** Entries of that key, those of the nearest scope first. */
  readonly found: readonly Entry[];
  /** Where there are none: those whose keys begin most like it, the newest first. */
  readonly near: readonly Entry[];
};

/** Entries that are named where there is none of the key. */
const NEAR_MAX = 3;
/** Parts of a key that must be alike for that, in characters. */
const ALIKE_MIN = 3;

/** The kind that a key is of by its form: digests name actions. */
export function kindOfKey(key: string): EntryKind {
  return parseDigest(key) === undefined ? 'dependency' : 'action';
}

/** The key of a dependency cache as the pipeline has it: what is stored has the cache's name and a digest of its paths before it. */
export function writtenKey({ at }: Pick<Entry, 'at'>): string {
  return at.kind === 'dependency' && STORED.test(at.key) ? at.key.split('/').slice(2).join('/') : at.key;
}

const STORED = /^[^/]+\/[0-9a-f]{12}\//;

/**
 * Looks for entries that can be read from `instanceName`; the key of a dependency cache as it is stored, or as the pipeline has it, which
 * takes a look at all of them. Those that are not complete are among them for dependency caches only.
 */
export async function findKey(
  admin: Pick<EntryAdmin, 'list' | 'find'>,
  instanceName: string,
  key: string,
  kind: EntryKind,
  signal: AbortSignal,
): Promise<KeySearch> {
  if (kind !== 'dependency') {
    const entry = await admin.find(instanceName, kind, key, signal);
    return { kind, found: entry === undefined ? [] : [entry], near: [] };
  }
  const found: Entry[] = [];
  let near: { readonly entry: Entry; readonly alike: number }[] = [];
  for await (const entry of admin.list(instanceName, { kind }, signal)) {
    if (entry.at.key === key || writtenKey(entry) === key) found.push(entry);
    else {
      const alike = Math.max(alikeOf(entry.at.key, key), alikeOf(writtenKey(entry), key));
      if (alike >= ALIKE_MIN) near.push({ entry, alike });
      if (near.length > 1_000) near = nearest(near);
    }
  }
  // The deeper scope is the nearer one.
  const depth = ({ at }: Entry) => at.owner.scope.split('/').length;
  return {
    kind,
    found: found.toSorted((a, b) => depth(b) - depth(a) || b.writtenAt - a.writtenAt),
    near: found.length > 0 ? [] : nearest(near).map(({ entry }) => entry),
  };
}

function nearest<T extends { readonly entry: Entry; readonly alike: number }>(all: readonly T[]): T[] {
  return all.toSorted((a, b) => b.alike - a.alike || b.entry.writtenAt - a.entry.writtenAt).slice(0, NEAR_MAX);
}

function alikeOf(a: string, b: string): number {
  let alike = 0;
  while (alike < a.length && a[alike] === b[alike]) alike += 1;
  return alike;
}

import type { EntryKey, EntryKind } from '../store-index/store-index.ts';
import { checkKey } from './check.ts';
import type { Departures } from './departures.ts';
import type { Entry, EntryStore, KeyPart } from './entry-store.ts';
import { unreachable } from '../../base/assert.ts';

/** A part of a key that is not as it was; undefined where one side has no such part. */
export type Difference = { readonly name: string; readonly before: string | undefined; readonly now: string | undefined };

export type Explanation = {
  /** The readable entry that has most parts in common, the newest of several. */
  readonly nearest: EntryKey | undefined;
  readonly differences: readonly Difference[];
  /** What the system did or did not do, a sentence each. */
  readonly causes: readonly string[];
};

export type MissedKey = {
  readonly kind: EntryKind;
  readonly project: string;
  /** Scopes that were looked into, nearest first. */
  readonly reads: readonly string[];
  readonly key: string;
  readonly parts: readonly KeyPart[];
};

/** Entries that are compared with a key, over all scopes. */
const COMPARED_MAX = 2_000;
const PAGE_COUNT = 200;
/** Scopes beside the readable ones that are asked for the key. */
const SCOPES_MAX = 200;

/** `raw`: incomplete entries too. `beside`: whether scopes may be named that are not read; only for who may know of them all. */
export type ExplainParts = { readonly raw: EntryStore; readonly departures: Departures; readonly beside: boolean };

/** Why a key is not found. @throws {Fault} BAD_REQUEST, STORE_UNAVAILABLE */
export async function explainMiss({ raw, departures, beside }: ExplainParts, missed: MissedKey, signal: AbortSignal): Promise<Explanation> {
  const { kind, project, reads, key, parts } = missed;
  for (const scope of reads) checkKey({ kind, owner: { project, scope }, key });
  const causes: string[] = [];
  for (const scope of reads) {
    const at = { kind, owner: { project, scope }, key };
    const there = await raw.get(kind, project, [scope], key, signal);
    if (there !== undefined)
      causes.push(`${scope} has an entry of this key, and blobs that it names may be gone: the next write replaces it`);
    const departure = there === undefined ? departures.of(at) : undefined;
    if (departure !== undefined) causes.push(`${scope}: ${sentenceOf(departure.cause)}, at ${new Date(departure.at).toISOString()}`);
  }
  if (beside) causes.push(...(await besideOf(raw, missed, signal)));
  const nearest = await nearestTo(raw, missed, signal);
  return { nearest: nearest?.at, differences: nearest === undefined ? [] : differencesOf(nearest.parts, parts), causes };
}

function sentenceOf(cause: 'evicted' | 'unused' | 'purged' | 'incomplete'): string {
  switch (cause) {
    case 'evicted':
      return 'the entry was evicted to make room within the quota';
    case 'unused':
      return 'the entry was removed because nobody had used it';
    case 'purged':
      return 'the entry was purged';
    case 'incomplete':
      return 'the entry was removed because blobs that it names are gone';
    default:
      return unreachable(cause);
  }
}

async function besideOf(raw: EntryStore, { kind, project, reads, key }: MissedKey, signal: AbortSignal): Promise<readonly string[]> {
  const others = (await raw.usage(signal))
    .map(({ owner }) => owner)
    .filter((owner) => owner.project === project && !reads.includes(owner.scope));
  const having: string[] = [];
  for (const { scope } of others.slice(0, SCOPES_MAX)) {
    if ((await raw.get(kind, project, [scope], key, signal)) !== undefined) having.push(scope);
  }
  return having.map((scope) => `${scope} has an entry of this key, and is not read from ${reads[0] ?? 'here'}`);
}

async function nearestTo(
  raw: EntryStore,
  { kind, project, reads, key, parts }: MissedKey,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  if (parts.length === 0) return undefined;
  const wanted = new Map(parts.map((part) => [part.name, part.value]));
  const likeness = (entry: Entry) => entry.parts.filter((part) => wanted.get(part.name) === part.value).length;
  let best: { readonly entry: Entry; readonly score: number } | undefined;
  let compared = 0;
  for (const scope of reads) {
    for (let after: EntryKey | undefined; compared < COMPARED_MAX;) {
      const page = await raw.list(project, { scope, kind }, after, PAGE_COUNT, signal);
      for (const entry of page) {
        const score = likeness(entry);
        const isNearer = best === undefined || score > best.score || (score === best.score && entry.writtenAt > best.entry.writtenAt);
        if (entry.at.key !== key && entry.parts.length > 0 && isNearer) best = { entry, score };
      }
      compared += page.length;
      after = page.at(-1)?.at;
      if (page.length < PAGE_COUNT) break;
    }
  }
  return best?.entry;
}

/** In the order of the key's parts, then those that it has no more. */
export function differencesOf(before: readonly KeyPart[], now: readonly KeyPart[]): readonly Difference[] {
  const [old, fresh] = [before, now].map((parts) => new Map(parts.map(({ name, value }) => [name, value])));
  const names = new Set([...(fresh?.keys() ?? []), ...(old?.keys() ?? [])]);
  return [...names].map((name) => ({ name, before: old?.get(name), now: fresh?.get(name) })).filter((part) => part.before !== part.now);
}

import { Fault } from '../../../base/fault.ts';
import { openGrants } from '../../../cache/rpc/grants.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { sizeOf, type Digest } from '../../../cache/digest.ts';
import { SCOPES, WORLD_BYTES, type Plant } from './world.ts';

/** Which blobs are left where whoever stores something makes room for it at the cost of everybody. */
class OneRoom {
  readonly #maxBytes: number;
  /** Least recently stored first. */
  readonly #kept = new Set<Digest>();
  readonly #lost = new Set<Digest>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  hasLost(digest: Digest): boolean {
    return this.#lost.has(digest);
  }

  use(digest: Digest): void {
    this.#lost.delete(digest);
    if (this.#kept.delete(digest)) this.#bytes -= sizeOf(digest);
    this.#kept.add(digest);
    this.#bytes += sizeOf(digest);
    for (const oldest of this.#kept) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#kept.delete(oldest);
      this.#bytes -= sizeOf(oldest);
      this.#lost.add(oldest);
    }
  }
}

/** Faults of the data plane, each of a kind that some cache has had. */
export const PLANTS: Readonly<Record<string, Plant>> = {
  'blobs are shared in a project': (parts) => ({ ...parts, storeOf: (view) => parts.storeOf({ ...view, reads: SCOPES }) }),

  'blobs are shared downwards only in name: everybody writes to the base': (parts) => ({
    ...parts,
    storeOf: (view) => parts.storeOf(view.writes === undefined ? view : { ...view, writes: 'main' }),
  }),

  'existence is answered for the whole project': (parts) => ({
    ...parts,
    storeOf: (view) => ({ ...parts.storeOf(view), findMissing: parts.storeOf({ ...view, reads: SCOPES }).findMissing }),
  }),

  'whoever comes first says what a digest stands for': (parts) => {
    const claimed = new Map<Digest, Uint8Array>();
    return {
      ...parts,
      storeOf(view): BlobStore {
        const store = parts.storeOf(view);
        return {
          traits: store.traits,
          findMissing: (digests, signal) => store.findMissing(digests, signal),
          async *get(digest, range, signal) {
            const bytes = claimed.get(digest);
            if (bytes === undefined) return yield* store.get(digest, range, signal);
            if ((await store.findMissing([digest], signal)).length > 0) return yield* store.get(digest, range, signal);
            const start = range?.offset ?? 0;
            yield bytes.subarray(start, range?.length === undefined ? undefined : start + range.length);
          },
          async put(digest, source, signal) {
            if (source instanceof Uint8Array && !claimed.has(digest)) claimed.set(digest, Uint8Array.from(source));
            await store.put(digest, source, signal);
          },
        };
      },
    };
  },

  'results are kept by project': (parts) => ({
    ...parts,
    actionCache: {
      get: (key, signal) => parts.actionCache.get({ ...key, scope: 'main' }, signal),
      put: (key, entry, signal) => parts.actionCache.put({ ...key, scope: 'main' }, entry, signal),
    },
  }),

  'dependency caches are looked up in all scopes': (parts) => {
    const { complete } = parts.entries;
    const open: typeof complete = {
      get: (kind, project, _scopes, key, signal) => complete.get(kind, project, SCOPES, key, signal),
      newest: (kind, project, _scopes, prefix, signal) => complete.newest(kind, project, SCOPES, prefix, signal),
      put: (entry, options, signal) => complete.put(entry, options, signal),
      list: (project, filter, after, limit, signal) => complete.list(project, filter, after, limit, signal),
      drop: (at, signal) => complete.drop(at, signal),
      dropSeen: (entry, signal) => complete.dropSeen(entry, signal),
      usage: (signal) => complete.usage(signal),
    };
    return { ...parts, entries: { ...parts.entries, complete: open } };
  },

  'all scopes have one room, and a flood pushes out what others used least lately': (parts) => {
    const room = new OneRoom(WORLD_BYTES);
    return {
      ...parts,
      storeOf(view): BlobStore {
        const store = parts.storeOf(view);
        return {
          traits: store.traits,
          findMissing: async (digests, signal) => [
            ...new Set([...(await store.findMissing(digests, signal)), ...digests.filter((one) => room.hasLost(one))]),
          ],
          async *get(digest, range, signal) {
            if (room.hasLost(digest)) throw new Fault('BLOB_UNKNOWN', `Blob ${digest} is not in the store`);
            yield* store.get(digest, range, signal);
          },
          async put(digest, source, signal) {
            await store.put(digest, source, signal);
            room.use(digest);
          },
        };
      },
    };
  },

  'the instance name says what a caller may write': (parts) => ({
    ...parts,
    authenticator: {
      async identify(evidence) {
        const identity = await parts.authenticator.identify(evidence);
        return identity.kind === 'caller' ? { kind: 'service', name: identity.caller.name } : identity;
      },
    },
  }),

  'a grant outlives its attempt': (parts) => ({
    ...parts,
    grants: { ...parts.grants, end: () => {}, isOpen: () => true },
  }),

  'a grant never runs out': (parts, key) => {
    const stopped = { now: () => 0, monotonic: () => parts.env.clock.monotonic() };
    return { ...parts, grants: openGrants(key, stopped) };
  },

  'a grant works for whoever shows it': (parts) => ({
    ...parts,
    grants: {
      ...parts.grants,
      grantOf(agent, shown, wanted) {
        const other = { ...agent, name: agent.name === 'agent-trusted' ? 'agent-untrusted' : 'agent-trusted' };
        const zone = agent.zone === 'trusted' ? 'untrusted' : 'trusted';
        try {
          return parts.grants.grantOf(agent, shown, wanted);
        } catch {
          return parts.grants.grantOf({ ...other, zone }, shown, wanted);
        }
      },
    },
  }),
};

import { openGrants } from '../../../cache/rpc/grants.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import type { Digest } from '../../../cache/digest.ts';
import { SCOPES, type Plant } from './world.ts';

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

  'the instance name says what a caller may write': (parts) => ({
    ...parts,
    authenticator: {
      identify(evidence) {
        const identity = parts.authenticator.identify(evidence);
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

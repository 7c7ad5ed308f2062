import type { Breaker } from '../../base/breaker.ts';
import { scopeChain } from '../../base/caller.ts';
import { Fault } from '../../base/fault.ts';
import { callUnary, dial, type Link } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { causesOf, type EntryFinder } from '../entries/finder.ts';
import type { Owner } from '../store-index/store-index.ts';
import { entryFromProto, entryToProto, kindToProto, nameFromProto, putFromProto } from './entry-convert.ts';
import { stagingFromProto, type StagingNow } from './staging-service.ts';

/** Longest time of one call; who asks for an answer sooner says so with a signal. */
const DEADLINE_MS = 30_000;

export type EntryClientOptions = {
  readonly link: Link;
  /** Stands before every call: while it is open calls fail at once. */
  readonly breaker: Breaker;
};

export interface EntryClient extends EntryFinder, AsyncDisposable {
  staging(signal: AbortSignal): Promise<StagingNow>;
}

/** Named entries of a data plane, over a connection of its own. A call is made once. Disposal ends calls under way. */
export function openEntryClient({ link, breaker }: EntryClientOptions): EntryClient {
  const client = dial(loadProto().switchyard.v1.EntryCache, link, 'control');
  const closing = new AbortController();
  const options = (signal: AbortSignal) => ({ signal: AbortSignal.any([signal, closing.signal]), deadlineMs: DEADLINE_MS });
  const instanceOf = ({ project, scope }: Owner) => `${project}/${scope}`;
  return {
    async find(kind, owner, key, prefixes, signal) {
      const request = { instanceName: instanceOf(owner), kind: kindToProto(kind), key, prefixes: [...prefixes] };
      const { entry, prefix } = await breaker.run(() => callUnary(client, 'findEntry', request, options(signal)));
      return entry === null
        ? undefined
        : { entry: entryFromProto(owner.project, entry, 'entry'), prefix: prefix === '' ? undefined : prefix };
    },
    async explain(kind, owner, key, parts, signal) {
      const request = { instanceName: instanceOf(owner), kind: kindToProto(kind), key, parts: [...parts] };
      const { nearest, differences, causes } = await breaker.run(() => callUnary(client, 'explainEntry', request, options(signal)));
      return {
        nearest: nearest === null ? undefined : nameFromProto(owner.project, nearest, 'nearest'),
        differences: differences.map(({ name, before, now }) => ({ name, before: before || undefined, now: now || undefined })),
        causes: causesOf(causes, scopeChain(owner.scope)),
      };
    },
    async put(entry, { replace }, signal) {
      const request = { instanceName: instanceOf(entry.at.owner), entry: entryToProto(entry, true), replace };
      return putFromProto(entry, await breaker.run(() => callUnary(client, 'putEntry', request, options(signal))));
    },
    async staging(signal) {
      return stagingFromProto(await breaker.run(() => callUnary(client, 'getStaging', {}, options(signal))));
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new Fault('CANCELLED', 'The connection to the data plane was closed'));
      client.close();
    },
  };
}

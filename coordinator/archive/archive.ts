import PQueue from 'p-queue';
import type { Logger } from '../../base/log.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { NO_USAGE, type SealedLog, type StepResult } from '../../cache/action/result.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { blobReader } from '../../cache/read-blob.ts';
import type { ActionResults } from '../../cache/rpc/client.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { BuildId, LeaseToken } from '../core/ids.ts';
import type { BuildEvent, LedgerRecord } from '../core/record.ts';
import type { BuildSpec } from '../core/spec.ts';
import type { BuildView } from '../core/view.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { decodeBuild, encodeBuild, type ArchivedBuild } from './document.ts';
import { instanceNameOf } from '../shell/instance-name.ts';
import { digestOfPieces } from '../shell/live-log.ts';
import { readStored } from '../shell/log-reader.ts';

/**
 * Builds that have left the ledger, in the blob store. A build is one blob of its project, found through two kinds of
 * entries in the action cache, both under a key that is made of the build's id. The first names the blob, in a scope that the
 * archive has for itself in each project: whoever asks names a build and not its scope. The others name the logs, in the build's
 * own scope, where these are; so the store keeps all of them for as long as it keeps what is used. A log that is gone does not
 * hide its build. Only a service may write such entries: what a client puts under the same key is never read here.
 */
export interface Archive {
  /**
   * Keeps a build that has ended; returns once it is as durable as the store is. Doing it again is harmless and replaces
   * what was kept. The view must be durable already.
   * @throws {Fault} STORE_UNAVAILABLE, STORE_FULL, LEDGER_UNAVAILABLE, WRONG_STATE where the ledger has the build no more, ...
   */
  keep(view: BuildView, signal: AbortSignal): Promise<void>;

  /**
   * A build of the project, or undefined where the archive has none (any more). Counts as a use of the build and its logs.
   * @throws {Fault} BUILD_UNKNOWN where it is damaged, STORE_UNAVAILABLE, WRONG_STATE where a newer version wrote it.
   */
  find(project: string, id: BuildId, signal: AbortSignal): Promise<ArchivedBuild | undefined>;
}

export type ArchiveOptions = {
  readonly ledger: Pick<Ledger, 'events' | 'log' | 'incarnation'>;
  readonly cacheOf: (instanceName: string) => ArchiveStore;
  readonly log: Logger;
};

/** What the archive uses of a project's store. */
export type ArchiveStore = { readonly store: BlobStore; readonly actions: ActionResults };

/** No caller's scope begins with a dot. */
const SCOPE = '.archive';
/** Logs that one entry names: well below every bound on an entry. */
const LOGS_PER_ENTRY = 10_000;
const EVENTS_PER_READ = 512;
const LOG_READERS = 16;
/** Longest archived build, compressed: far above what the bounds on a build allow. */
const DOCUMENT_BYTES_MAX = 512 * 1024 * 1024;
/** Longest wait of a reader for the store. */
const FIND_MS = 10_000;
/** Builds that stay decoded, while all of them together have no more records and events than this. */
const REMEMBERED = 200_000;

export function openArchive(options: ArchiveOptions): Archive {
  const decoded = new Map<Digest, ArchivedBuild>();
  const archiveOf = (project: string) => options.cacheOf(instanceNameOf(project, SCOPE));
  const scopeOf = ({ project, scope }: Pick<BuildSpec, 'project' | 'scope'>) => options.cacheOf(instanceNameOf(project, scope));
  const find = async (project: string, id: BuildId, signal: AbortSignal): Promise<ArchivedBuild | undefined> => {
    const { actions, store } = archiveOf(project);
    const entry = await actions.get(keyOf(id, 'build'), signal);
    const output = entry?.outputs[0];
    if (output?.kind !== 'file') return undefined;
    const known = decoded.get(output.digest);
    if (known !== undefined) return known;
    const build = await decodeBuild(await blobReader(store, DOCUMENT_BYTES_MAX)(output.digest, signal));
    remember(decoded, output.digest, build);
    const own = build.records.flatMap((record) => (record.kind === 'build' ? scopeOf(record.build.spec) : []))[0];
    for (const [part] of own === undefined ? [] : entriesOf(logsNamedBy(build))) {
      // Only a use of the logs: without an answer they are as long-lived as other blobs.
      own?.actions
        .get(keyOf(id, part), AbortSignal.timeout(FIND_MS))
        .catch((error: unknown) => options.log.debug('archived-logs-not-touched', { build: id, error }));
    }
    return build;
  };
  return {
    async keep(view, signal) {
      const { id, spec } = view.record;
      const { lastEventSeq } = view;
      const records = recordsOf(view); // before anything is waited for: the view is true only now
      const tokens = view.steps.flatMap((step) =>
        step.record.attempts.map((attempt) => [attempt.token, attempt.report?.result?.log] as const),
      );
      const { actions, store } = archiveOf(spec.project);
      const own = scopeOf(spec);
      const events = await eventsOf(options.ledger, id, signal);
      const logs = await logsOf(options.ledger, own.store, tokens, signal);
      const build = { id, incarnation: await options.ledger.incarnation(signal), records, events, logs };
      const frames = await encodeBuild(build);
      const digest = await digestOfPieces(frames);
      const bytes = Buffer.concat(frames);
      await store.put(digest, bytes, signal);
      // What was read is whole only if it is all still there, which it is not for a leader that was overtaken.
      if ((await options.ledger.events(id, lastEventSeq - 1, 1, signal)).length === 0) {
        throw new Fault('WRONG_STATE', `Build ${id} has left the ledger while it was archived: the copy that it has stays`);
      }
      for (const [part, digests] of entriesOf(logsNamedBy(build))) await own.actions.put(keyOf(id, part), entryOf(digests), signal);
      await actions.put(keyOf(id, 'build'), entryOf([digest]), signal); // last: what is found is whole
    },
    async find(project, id, signal) {
      try {
        return await find(project, id, AbortSignal.any([signal, AbortSignal.timeout(FIND_MS)]));
      } catch (error) {
        if (isFault(error, 'BLOB_UNKNOWN')) return undefined; // gone between the entry and its blob
        if (isFault(error, 'BLOB_CORRUPT')) {
          options.log.error('archived-build-damaged', { build: id, error });
          throw new Fault('BUILD_UNKNOWN', `Build ${id} has left the ledger, and its copy in the archive is damaged`, { cause: error });
        }
        if (signal.aborted || isFault(error, 'WRONG_STATE')) throw error;
        const hint = 'The build is no longer in the ledger; whether the archive has it shows when the store answers.';
        throw new Fault('STORE_UNAVAILABLE', 'The archive of ended builds cannot be read at the moment', {
          hint,
          retryAfterMs: 2_000,
          cause: error,
        });
      }
    },
  };
}

/** What an entry of the action cache is kept under. Never the digest of an action: those are protobuf messages. */
function keyOf(id: BuildId, part: string): Digest {
  return digestOf(Buffer.from(`switchyard archived build\n${id}\n${part}`));
}

function entryOf(digests: readonly Digest[]): StepResult {
  const outputs = digests.map(
    (digest, index) => ({ kind: 'file', path: String(index).padStart(6, '0'), digest, executable: false }) as const,
  );
  return { exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'archive', startedAt: 0, endedAt: 0 };
}

/** The entries that name the logs, each with its part of the key. */
function entriesOf(logs: readonly SealedLog[]): readonly (readonly [string, readonly Digest[]])[] {
  const digests = [...new Set(logs.map((log) => log.digest))];
  return Array.from({ length: Math.ceil(digests.length / LOGS_PER_ENTRY) }, (_, index) => {
    return [`logs ${index}`, digests.slice(index * LOGS_PER_ENTRY, (index + 1) * LOGS_PER_ENTRY)] as const;
  });
}

function recordsOf({ record, state, steps }: BuildView): readonly LedgerRecord[] {
  const { id } = record;
  const specs = steps.map((step): LedgerRecord => ({ kind: 'step-spec', id: step.id, spec: step.spec }));
  const newest = steps.map((step): LedgerRecord => ({ kind: 'step', id: step.id, step: step.record }));
  return [{ kind: 'build', build: record }, { kind: 'build-state', id, state }, ...specs, ...newest];
}

/** The logs of its attempts, and those that came with results from the cache or of other builds' steps. */
function logsNamedBy({ records, logs }: ArchivedBuild): readonly SealedLog[] {
  const ofResults = records.flatMap((record) => {
    if (record.kind !== 'step' || record.step.state.kind !== 'ended' || record.step.state.outcome.kind !== 'succeeded') return [];
    return record.step.state.outcome.result.log ?? [];
  });
  return [...logs.values(), ...ofResults];
}

async function eventsOf(ledger: ArchiveOptions['ledger'], id: BuildId, signal: AbortSignal): Promise<readonly BuildEvent[]> {
  const events: BuildEvent[] = [];
  for (;;) {
    const page = await ledger.events(id, events.at(-1)?.seq ?? 0, EVENTS_PER_READ, signal);
    events.push(...page);
    if (page.length < EVENTS_PER_READ) return events;
  }
}

/** The logs as whole blobs. What a crash left in pieces becomes one now. */
async function logsOf(
  ledger: ArchiveOptions['ledger'],
  store: BlobStore,
  attempts: readonly (readonly [LeaseToken, SealedLog | undefined])[],
  signal: AbortSignal,
): Promise<ReadonlyMap<LeaseToken, SealedLog>> {
  const logs = new Map<LeaseToken, SealedLog>();
  const readers = new PQueue({ concurrency: LOG_READERS });
  const one = async (token: LeaseToken, reported: SealedLog | undefined): Promise<void> => {
    const stored = await ledger.log(token, signal);
    const sealed = stored?.sealed ?? reported;
    if (sealed !== undefined) return void logs.set(token, sealed);
    if (stored === undefined) return;
    const bytes = async function* bytes() {
      for await (const piece of readStored(stored, 0, store, signal)) yield piece.bytes;
    };
    const digest = await digestOfPieces(bytes());
    await store.put(digest, bytes(), signal);
    logs.set(token, { digest, truncated: false });
  };
  await readers.addAll(
    attempts.map(
      ([token, reported]) =>
        () =>
          one(token, reported),
    ),
  );
  return logs;
}

function remember(decoded: Map<Digest, ArchivedBuild>, digest: Digest, build: ArchivedBuild): void {
  const sizeOf = ({ records, events }: ArchivedBuild) => records.length + events.length;
  decoded.set(digest, build);
  let total = [...decoded.values()].reduce((sum, one) => sum + sizeOf(one), 0);
  for (const [oldest, one] of decoded) {
    if (total <= REMEMBERED || oldest === digest) break;
    decoded.delete(oldest);
    total -= sizeOf(one);
  }
}

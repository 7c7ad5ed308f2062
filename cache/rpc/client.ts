import { randomInt } from 'node:crypto';
import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { GRANT_METADATA } from '../../base/grant.ts';
import { prngFrom } from '../../base/prng.ts';
import { digestToProto } from '../../proto/convert.ts';
import { callUnary, dial, type Link } from '../../proto/dial.ts';
import type { ActionCacheClient } from '../../proto/gen/build/bazel/remote/execution/v2/ActionCache.ts';
import type { ContentAddressableStorageClient } from '../../proto/gen/build/bazel/remote/execution/v2/ContentAddressableStorage.ts';
import type { ByteStreamClient } from '../../proto/gen/google/bytestream/ByteStream.ts';
import type { DirectTransferClient } from '../../proto/gen/switchyard/v1/DirectTransfer.ts';
import { loadProto } from '../../proto/load.ts';
import { decodeStepResult, encodeStepResult } from '../action/action-result.ts';
import type { StepResult } from '../action/result.ts';
import type { BlobStore } from '../blob-store.ts';
import type { ByteBudget } from '../byte-budget.ts';
import type { Digest } from '../digest.ts';
import { withDirectReads } from '../direct/direct-store.ts';
import type { DirectFetcher } from '../direct/fetcher.ts';
import { packSink } from '../direct/pack-sink.ts';
import { withSharedRoom } from '../shared-room.ts';
import { planClientClass, type PlanClient } from './plan-wire.ts';
import { readPlanner } from './read-planner.ts';
import { remoteStore } from './remote-store.ts';
import { retrier, type Guard, type Retrier } from './retry.ts';
import { uploadPlanner } from './upload-planner.ts';

/** The data plane as everybody uses it: agents, coordinators, the command line. */
export interface DataPlane extends AsyncDisposable {
  /** Blobs under the instance name. */
  readonly store: BlobStore;
  readonly actions: ActionResults;
  /** The same connections under another instance name. Disposing of a view does nothing. */
  withInstance(instanceName: string): DataPlane;
}

/** A data plane that several servers offer. */
export interface MovableDataPlane extends DataPlane {
  /** From now on calls, and further tries of those under way, go to another server with the same blobs. */
  moveTo(address: string): void;
  /**
   * As `withInstance`, for one attempt of an agent: `grant` is asked for the newest grant before each try of a call. `onStaged` hears that
   * some of what it stored, or found stored, is on the data plane's disk only.
   */
  withGrant(instanceName: string, grant: () => string | undefined, onStaged?: () => void): DataPlane;
}

export type DataPlaneOptions = {
  readonly link: Link;
  readonly instanceName: string;
  readonly env: Env;
  /** How long a call is made again that a passing fault broke. @default half a minute */
  readonly patienceMs?: number;
  /** Where the data plane is now; asked when a call is to be made again. A rejection leaves it where it was. @default stays */
  readonly locate?: (signal: AbortSignal) => Promise<string>;
  /** Stands before every call. @default none: each call tries for itself */
  readonly guard?: Guard;
  /** Longest wait for the server within a stream, whatever the size of the blob. @default one minute */
  readonly idleMs?: number;
  /** Reads what lies in a bucket from there, and puts what is many there, for attempts with a grant. @default all through the data plane */
  readonly direct?: DirectFetcher;
  /** What all views hold in memory of blobs on their way, together. @default each upload and download has a bound of its own only */
  readonly room?: ByteBudget;
};

/** Results of steps by action, in the scope that the instance name says and, for reading, its ancestors. */
export interface ActionResults {
  /** The newest complete result that an agent of ours made, or undefined. All its blobs count as used just now. */
  get(action: Digest, signal: AbortSignal): Promise<StepResult | undefined>;
  /** Keeps a result. @throws {Fault} FORBIDDEN for callers without the right; BLOB_UNKNOWN is never thrown: see `get`. */
  put(action: Digest, result: StepResult, signal: AbortSignal): Promise<void>;
}

/** What goes along with a call; asked before each try. */
export type ShownMetadata = () => Readonly<Record<string, string>>;

const NO_METADATA: ShownMetadata = () => ({});

function grantShown(grant: () => string | undefined): ShownMetadata {
  return () => {
    const text = grant();
    return text === undefined ? {} : { [GRANT_METADATA]: text };
  };
}

/** Connections of their own for batches, for streams and for action results, so that none waits behind another. */
export type DataPlaneClients = {
  readonly cas: ContentAddressableStorageClient;
  readonly bytes: ByteStreamClient;
  readonly actions: ActionCacheClient;
  readonly direct: DirectTransferClient;
  readonly plans: PlanClient;
};

const UNARY_DEADLINE_MS = 60_000;
const PATIENCE_MS = 30_000;
const IDLE_MS = 60_000;
/** Connections are made anew once for all calls that were not answered in time together. */
const RENEW_MS = 1_000;
/** Views that are kept; what is dropped goes on working and is made anew when asked for. */
const VIEWS_MAX = 1_000;

/**
 * Opens the data plane at `link`; the connection is made by the first call. Calls broken by a passing fault are made again
 * for as long as there is patience. Disposal ends calls under way with CANCELLED.
 */
export function openDataPlane(options: DataPlaneOptions): MovableDataPlane {
  const { link, env, locate } = options;
  // One object for the life of the plane: whoever makes a call again takes the client out of it anew.
  const clients = { ...clientsOf(link) };
  let address = link.address;
  const closing = new AbortController();
  const connect = (): void => {
    const old = { ...clients };
    Object.assign(clients, clientsOf({ ...link, address }));
    closeAll(old); // what is under way on them goes on
  };
  const moveTo = (to: string): void => {
    if (to === address || closing.signal.aborted) return;
    address = to;
    connect();
  };
  let renewedAt = Number.NEGATIVE_INFINITY;
  /** A server that does not answer may be behind a connection that is dead and has not been found so. */
  const renew = (): void => {
    const now = env.clock.monotonic();
    if (closing.signal.aborted || now - renewedAt < RENEW_MS) return;
    renewedAt = now;
    connect();
  };
  onNewCertificate(link, closing.signal, connect);
  const prng = prngFrom(randomInt(2 ** 48 - 1));
  const beforeRetry = async (signal: AbortSignal, failure: unknown): Promise<void> => {
    if (isFault(failure, 'DEADLINE')) renew();
    try {
      const found = await locate?.(signal);
      if (found !== undefined) moveTo(found);
    } catch (error) {
      env.log.debug('data-plane-not-located', { address, error });
    }
  };
  const tries = retrier({ prng, clock: env.clock, patienceMs: options.patienceMs ?? PATIENCE_MS, beforeRetry, guard: options.guard });
  const roomed = (store: BlobStore) => (options.room === undefined ? store : withSharedRoom(store, options.room));
  // Kept, so that calls under one name gather into the same batches.
  const views = new Map<string, DataPlane>();
  const idleMs = options.idleMs ?? IDLE_MS;
  const view = (instanceName: string, metadata: ShownMetadata, dispose: () => void, onStaged?: () => void): DataPlane => ({
    store: roomed(remoteStore({ clients, instanceName, metadata, onStaged, retrier: tries, closing: closing.signal, idleMs })),
    actions: actionResults(clients, instanceName, metadata, tries, closing.signal),
    withInstance(name) {
      const kept = views.get(name) ?? view(name, NO_METADATA, () => {});
      if (views.size >= VIEWS_MAX) views.clear();
      views.set(name, kept);
      return kept;
    },
    [Symbol.asyncDispose]: async () => dispose(),
  });
  const whole = view(options.instanceName, NO_METADATA, () => {
    closing.abort(new Fault('CANCELLED', 'The connection to the data plane was closed'));
    closeAll(clients);
  });
  const [withoutPlans, withoutUploads] = [new WeakSet<object>(), new WeakSet<object>()];
  const withGrant: MovableDataPlane['withGrant'] = (instanceName, grant, onStaged) => {
    const metadata = grantShown(grant);
    // Not kept: no two attempts share a batch.
    const own = view(instanceName, metadata, () => {}, onStaged);
    if (options.direct === undefined) return own;
    const hasGrant = () => grant() !== undefined;
    const planning = { clients, withoutPlans, withoutUploads, instanceName, metadata, hasGrant, closing: closing.signal, env };
    const store = withDirectReads(own.store, readPlanner(planning), options.direct);
    const sink = packSink(uploadPlanner(planning), options.direct.uploads, env.log);
    return { ...own, store: { ...store, ...sink } };
  };
  return { ...whole, moveTo, withGrant };
}

/** A connection shows the certificate that there was when it was made: calls are made on one that shows the newest. */
function onNewCertificate({ tls }: Link, closing: AbortSignal, connect: () => void): void {
  const watch = tls?.source.onChange(({ own }) => {
    if (own !== undefined) connect();
  });
  closing.addEventListener('abort', () => watch?.[Symbol.dispose](), { once: true });
}

function clientsOf(link: Link): DataPlaneClients {
  const proto = loadProto();
  const v2 = proto.build.bazel.remote.execution.v2;
  return {
    cas: dial(v2.ContentAddressableStorage, link, 'bulk'),
    bytes: dial(proto.google.bytestream.ByteStream, link, 'bulk'),
    actions: dial(v2.ActionCache, link, 'control'),
    direct: dial(proto.switchyard.v1.DirectTransfer, link, 'control'),
    plans: dial(planClientClass(), link, 'control'),
  };
}

function closeAll(clients: DataPlaneClients): void {
  for (const client of Object.values(clients)) client.close();
}

function actionResults(
  clients: DataPlaneClients,
  instanceName: string,
  metadata: ShownMetadata,
  tries: Retrier,
  closing: AbortSignal,
): ActionResults {
  const codec = loadProto().build.bazel.remote.execution.v2.ActionResult;
  return {
    async get(action, signal) {
      const either = AbortSignal.any([signal, closing]);
      const call = () =>
        callUnary(
          clients.actions,
          'getActionResult',
          { instanceName, actionDigest: digestToProto(action) },
          { signal: either, deadlineMs: UNARY_DEADLINE_MS, metadata: metadata() },
        );
      try {
        return decodeStepResult(codec.serialize(await tries.retrying(call, either)));
      } catch (error) {
        if (isFault(error, 'ACTION_UNKNOWN') || isFault(error, 'BLOB_UNKNOWN')) return undefined;
        throw error;
      }
    },
    async put(action, result, signal) {
      const either = AbortSignal.any([signal, closing]);
      const actionResult = codec.deserialize(Buffer.from(encodeStepResult(result)));
      const request = { instanceName, actionDigest: digestToProto(action), actionResult };
      await tries.retrying(
        () =>
          callUnary(clients.actions, 'updateActionResult', request, {
            signal: either,
            deadlineMs: UNARY_DEADLINE_MS,
            metadata: metadata(),
          }),
        either,
      );
    },
  };
}

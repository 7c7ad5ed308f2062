import PQueue from 'p-queue';
import { assert } from '../../base/assert.ts';
import { scopeChain } from '../../base/caller.ts';
import { Fault, isFault, wrap } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { formatDurationMs } from '../../base/quantity.ts';
import { reasonOf } from '../../base/thrown.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import { actionOf, type EncodedAction } from '../../cache/action/action.ts';
import type { StepResult } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST, sizeOf, type Digest } from '../../cache/digest.ts';
import { Needs } from '../../cache/entries/needs.ts';
import { blobReader } from '../../cache/read-blob.ts';
import type { DataPlane } from '../../cache/rpc/client.ts';
import { graftOutputs } from '../../cache/tree/graft.ts';
import type { DependencyLookup } from '../core/dependency.ts';
import type { Event, Resolution } from '../core/event.ts';
import type { StepId } from '../core/ids.ts';
import { ownAction } from '../core/resolutions.ts';
import type { StepSpec } from '../core/spec.ts';
import type { ResolvedAction } from '../core/state.ts';
import { saltOf } from './dependency-key.ts';
import { lookUpAll, type DependencyPlace } from './dependency-lookup.ts';

/** What the coordinator uses of the data plane for one build: blobs, and results of its scope and the scope's ancestors. */
export type BuildCache = Pick<DataPlane, 'store' | 'actions'>;

/** What a needed step left behind, and where it ran. */
export type NeededOutputs = {
  readonly step: string;
  readonly workingDirectory: string;
  readonly result: StepResult;
  /** It was staged only, as far as is known, so that it is looked at whether all of it is there. @default false */
  readonly mayBeGone?: boolean;
};

/** All that a step's action is made of. */
export type Resolvable = {
  readonly spec: StepSpec;
  readonly scope: string;
  readonly needed: readonly NeededOutputs[];
  readonly cache: BuildCache;
  /** Where its dependency caches are looked up; undefined where it has none. */
  readonly dependencies?: DependencyPlace | undefined;
};

/** Works out steps' actions and looks them up. Answers each `resolve` with one `step-resolved`. */
export interface Resolver extends AsyncDisposable {
  resolve(step: StepId): void;
  /** Resolutions that are under way or wait for their turn at the data plane. */
  readonly waiting: number;
}

export type ResolverOptions = {
  /** What the step is made of now; undefined where it has gone. */
  readonly describe: (step: StepId) => Resolvable | undefined;
  readonly post: (event: Event) => void;
  readonly log: Logger;
  /** Longest time of one resolution. */
  readonly deadlineMs: number;
  /** Resolutions that ask the data plane at once. */
  readonly concurrency: number;
};

export const RESOLVER_DEFAULTS = { deadlineMs: 30_000, concurrency: 64 } as const;

/**
 * Steps that are resolved without the data plane in one turn of the loop, so that nothing else waits long. The first ones
 * are in a microtask: early enough to go into the commit of what made them ready.
 */
const LOCAL_BATCH = 128;

export function openResolver(options: ResolverOptions): Resolver {
  const remote = new PQueue({ concurrency: options.concurrency });
  const closing = new AbortController();
  let local: { readonly step: StepId; readonly resolvable: Resolvable }[] = [];
  let turn: NodeJS.Immediate | undefined;
  const answer = (step: StepId, resolution: Resolution) => {
    if (!closing.signal.aborted) options.post({ kind: 'step-resolved', step, resolution });
  };
  const runLocal = () => {
    turn = undefined;
    const batch = local.slice(0, LOCAL_BATCH);
    local = local.slice(LOCAL_BATCH);
    if (local.length > 0 && !closing.signal.aborted) turn = setImmediate(runLocal);
    for (const { step, resolvable } of batch) answer(step, { kind: 'ready', action: ownAction(resolvable.spec) });
  };
  const runRemote = async (step: StepId, resolvable: Resolvable): Promise<void> => {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(options.deadlineMs)]);
    try {
      answer(step, await resolveStep(resolvable, signal));
    } catch (error) {
      if (closing.signal.aborted) return;
      const resolution = failed(signal.aborted ? late(options.deadlineMs) : error);
      // While the store is left alone this is said of every step, again and again: its breaker has said it once.
      options.log[resolution.kind === 'unavailable' && resolution.retryAfterMs !== undefined ? 'debug' : 'warn']('step-not-resolved', {
        step,
        error,
      });
      answer(step, resolution);
    }
  };
  return {
    get waiting() {
      return remote.size + remote.pending + local.length;
    },
    resolve(step) {
      const resolvable = options.describe(step);
      if (resolvable === undefined) return;
      if (resolvable.spec.cacheable || resolvable.needed.length > 0 || resolvable.dependencies !== undefined) {
        void remote.add(() => runRemote(step, resolvable));
        return;
      }
      local.push({ step, resolvable });
      if (local.length === 1 && turn === undefined) queueMicrotask(runLocal);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      if (turn !== undefined) clearImmediate(turn);
      remote.clear();
      await remote.onIdle();
    },
  };
}

/** Faults that say something about the step's inputs, not about the world. */
const INPUT_FAULTS = ['BAD_REQUEST', 'PATH_ESCAPES', 'TOO_LARGE', 'WRONG_STATE'] as const;
/** Faults that no later try heals. */
const LOSSES = ['BLOB_UNKNOWN', 'BLOB_CORRUPT'] as const;

function failed(error: unknown): Resolution {
  const message = reasonOf(error);
  if (INPUT_FAULTS.some((code) => isFault(error, code))) return { kind: 'invalid', message };
  if (LOSSES.some((code) => isFault(error, code))) return { kind: 'inputs-lost', message };
  const retryAfterMs = isFault(error) ? error.retryAfterMs : undefined;
  return { kind: 'unavailable', message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function late(deadlineMs: number): Fault {
  return new Fault('DEADLINE', `The store did not answer within ${formatDurationMs(deadlineMs)}`);
}

/** The step's action, from the cache where it has an entry; what is new of its input tree is in the store when this returns. */
async function resolveStep(resolvable: Resolvable, signal: AbortSignal): Promise<Resolution> {
  const { spec, scope, cache } = resolvable;
  const gone = await goneOf(resolvable, signal);
  if (gone.length > 0) return { kind: 'inputs-lost', message: `What ${gone.join(', ')} left is gone from the cache`, producers: gone };
  const grafted = await graftAll(resolvable, signal);
  if ('lost' in grafted) return { kind: 'inputs-lost', ...grafted.lost };
  const parts = [{ root: spec.inputRoot, bytes: spec.inputBytes }, ...resolvable.needed.flatMap((needed) => partsOf(needed.result))];
  const inputBytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  const inputs: ResolvedAction = { inputRoot: grafted.root, inputBytes, parts: parts.filter((part) => part.bytes > 0) };
  if (!spec.cacheable) {
    await putAll(grafted.added, cache.store, signal);
    return { kind: 'ready', action: await withDependencies({ ...ownAction(spec), ...inputs }, resolvable, signal) };
  }
  const { action, blobs } = encodedAction(spec, grafted.root);
  const resolved: ResolvedAction = { action, ...inputs };
  const result = spec.given?.lookUp === false ? undefined : await cache.actions.get(action, signal);
  if (result !== undefined && result.exitCode === 0) return { kind: 'hit', action: resolved, result };
  await putAll(new Map([...grafted.added, ...blobs]), cache.store, signal);
  return {
    kind: 'ready',
    action: await withDependencies(resolved, resolvable, signal),
    cache: [
      spec.given?.lookUp === false
        ? 'its caller wants no earlier result'
        : `no complete result of action ${action} in the scopes ${scopeChain(scope).join(', ')}`,
    ],
  };
}

/** The step's action, and the blobs of it that the store may lack: a caller that brings its action has stored it. */
export function encodedAction(spec: StepSpec, inputRoot: Digest): Pick<EncodedAction, 'action' | 'blobs'> {
  if (spec.given !== undefined) return { action: spec.given.action, blobs: new Map() };
  return actionOf({ ...spec, salt: saltOf(spec), inputRoot });
}

/** With what is found of the step's dependency caches: agents that have it are as good as those that have inputs. */
async function withDependencies(action: ResolvedAction, { spec, dependencies }: Resolvable, signal: AbortSignal): Promise<ResolvedAction> {
  if (dependencies === undefined) return action;
  const lookups = await lookUpAll(spec.dependencyCaches ?? [], dependencies, signal);
  const found = lookups.flatMap(treesOf);
  return {
    ...action,
    inputBytes: action.inputBytes + found.reduce((sum, { bytes }) => sum + bytes, 0),
    parts: [...action.parts, ...found.filter(({ bytes }) => bytes > 0).map(({ root, bytes }) => ({ root, bytes }))],
    dependencies: lookups,
  };
}

function treesOf({ found }: DependencyLookup) {
  return found.kind === 'exact' || found.kind === 'fallback' ? found.trees : [];
}

type Grafted = { readonly root: Digest; readonly added: ReadonlyMap<Digest, Uint8Array> };

/** The step's input tree with its needs' outputs in their places, one need after the other. */
async function graftAll(
  resolvable: Resolvable,
  signal: AbortSignal,
): Promise<Grafted | { readonly lost: { readonly message: string; readonly producers: readonly string[] } }> {
  const added = new Map<Digest, Uint8Array>();
  const fromStore = blobReader(resolvable.cache.store);
  const read = async (digest: Digest, at: AbortSignal) => added.get(digest) ?? fromStore(digest, at);
  let root = resolvable.spec.inputRoot;
  for (const { step, workingDirectory, result } of resolvable.needed) {
    try {
      const grafted = await graftOutputs(root, workingDirectory, result.outputs, read, signal);
      for (const [digest, bytes] of grafted.added) added.set(digest, bytes);
      root = grafted.root;
    } catch (error) {
      const told = wrap(error, `Outputs of step ${step} as inputs`);
      if (LOSSES.some((code) => isFault(told, code))) return { lost: { message: told.message, producers: [step] } };
      throw told;
    }
  }
  return { root, added };
}

/** The needed steps of which something is gone that they left where it may be lost. */
async function goneOf({ needed, scope, cache }: Resolvable, signal: AbortSignal): Promise<readonly string[]> {
  const gone: string[] = [];
  for (const { step, result, mayBeGone = false } of needed) {
    if (mayBeGone && !(await isWhole(result, scope, cache, signal))) gone.push(step);
  }
  return gone;
}

/** Whether all that a result names is there for builds of the scope, whose cache it is. @throws {Fault} what the store throws */
export function isWhole(result: StepResult, scope: string, { store }: Pick<BuildCache, 'store'>, signal: AbortSignal): Promise<boolean> {
  return new Needs(() => store).areThere({ project: '', scope }, encodeStepResult(result), signal); // the view is the build's own already
}

function partsOf(result: StepResult): readonly { readonly root: Digest; readonly bytes: number }[] {
  return result.outputs.flatMap((output) => {
    if (output.kind === 'directory') return [{ root: output.root, bytes: output.bytes }];
    return output.kind === 'file' ? [{ root: output.digest, bytes: sizeOf(output.digest) }] : [];
  });
}

async function putAll(blobs: ReadonlyMap<Digest, Uint8Array>, store: BlobStore, signal: AbortSignal): Promise<void> {
  const missing = blobs.size === 0 ? [] : await store.findMissing([...blobs.keys()], signal);
  await Promise.all(
    missing.map(async (digest) => {
      const bytes = blobs.get(digest);
      assert(bytes !== undefined, 'what is missing was asked for');
      if (digest !== EMPTY_DIGEST) await store.put(digest, bytes, signal);
    }),
  );
}

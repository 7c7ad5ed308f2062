import { isFault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { describe } from '../core/build-end.ts';
import type { StepOutcome } from '../core/state.ts';
import type { BuildView } from '../core/view.ts';
import { canaryInputs, canaryOutput, EXITS, OUTPUT } from './canary-build.ts';

/** By whom canary builds are cancelled. */
export const CANARY_ACTOR = 'switchyard-canary';
/** Why a build was cancelled that says nothing about its pool. */
export const NO_VERDICT = 'the pool has no canary builds any more, or takes nothing at the moment';

export type Verdict =
  | { readonly kind: 'well' }
  /** `why` for people. */
  | { readonly kind: 'failed'; readonly why: string }
  /** It says nothing about the pool, or the cache has no answer at the moment. */
  | { readonly kind: 'open' };

const WELL: Verdict = { kind: 'well' };
const OPEN: Verdict = { kind: 'open' };

/** What an ended canary build says about its pool. */
export async function verdictOn({ record: { id }, steps: [step] }: BuildView, store: BlobStore, signal: AbortSignal): Promise<Verdict> {
  if (step?.record.state.kind !== 'ended') return OPEN;
  const { outcome } = step.record.state;
  if (outcome.kind === 'cancelled')
    return outcome.by === CANARY_ACTOR && outcome.reason !== NO_VERDICT ? { kind: 'failed', why: outcome.reason } : OPEN;
  const agent = step.record.attempts.at(-1)?.agent;
  const failed = (why: string): Verdict => ({ kind: 'failed', why: agent === undefined ? why : `on agent ${agent}, ${why}` });
  if (outcome.kind === 'succeeded') {
    const left = outcome.result.outputs.find(({ path }) => path === OUTPUT);
    if (left?.kind !== 'file' || left.digest !== canaryOutput(id)) return failed('it left other bytes than it should');
    const there = await isThere(store, left.digest, signal);
    if (there === undefined) return OPEN;
    return there ? WELL : failed('the cache does not have what it left');
  }
  // Where the cache is in trouble for everybody, no pool is to blame.
  if (outcome.kind === 'errored' && outcome.class === 'cache-error') {
    const [input] = canaryInputs(id).blobs.keys();
    if (input === undefined || (await isThere(store, input, signal)) !== true) return OPEN;
  }
  return failed(whyFailed(outcome));
}

function whyFailed(outcome: StepOutcome): string {
  const known = outcome.kind === 'failed' && outcome.class === 'exit' ? EXITS[outcome.result?.exitCode ?? 0] : undefined;
  return known ?? describe(outcome);
}

/** Undefined where the store cannot say. */
async function isThere(store: BlobStore, digest: Digest, signal: AbortSignal): Promise<boolean | undefined> {
  try {
    await blobReader(store)(digest, signal);
    return true;
  } catch (error) {
    return isFault(error, 'BLOB_UNKNOWN') || isFault(error, 'BLOB_CORRUPT') ? false : undefined;
  }
}

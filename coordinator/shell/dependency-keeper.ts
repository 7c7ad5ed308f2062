import { randomInt } from 'node:crypto';
import PQueue from 'p-queue';
import { backoffMs } from '../../base/backoff.ts';
import { isFault, type FaultCode } from '../../base/fault.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { reasonOf } from '../../base/thrown.ts';
import type { Zone } from '../../base/zone.ts';
import { decodeStepResult, encodeStepResult } from '../../cache/action/action-result.ts';
import { NO_USAGE, type DirectoryOutput } from '../../cache/action/result.ts';
import type { Entry, Provenance } from '../../cache/entries/entry-store.ts';
import type { EntryFinder } from '../../cache/entries/finder.ts';
import type { DependencyResult, DependencySave } from '../core/dependency.ts';
import type { Event } from '../core/event.ts';
import type { StepId } from '../core/ids.ts';
import type { DependencyCache } from '../core/spec.ts';
import { entryKeyOf, partsOf } from './dependency-key.ts';
import { sleep } from './sleep.ts';

/** What the entries of one step's dependency caches are made of beside their trees. */
export type Keepable = {
  readonly project: string;
  /** The build's scope, as the coordinator worked it out from the caller: nothing that an agent or a client says changes it. */
  readonly scope: string;
  /** Of the step. */
  readonly zone: Zone;
  readonly caches: readonly DependencyCache[];
  readonly provenance: Provenance;
};

/** Writes entries of dependency caches in the background. Answers each `keep` with one `dependencies-kept`. */
export interface DependencyKeeper extends AsyncDisposable {
  keep(step: StepId, saves: readonly DependencySave[]): void;
  /** Steps whose entries are not written yet. */
  readonly waiting: number;
}

export type DependencyKeeperOptions = {
  readonly entries: Pick<EntryFinder, 'put'> | undefined;
  /** Undefined where the step has gone. */
  readonly describe: (step: StepId) => Keepable | undefined;
  readonly post: (event: Event) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly deadlineMs?: number;
  /** Steps that wait at most; what is more is dropped. */
  readonly waitingMax?: number;
};

const CONCURRENCY = 8;
const WAITING_MAX = 2_000;
const DEADLINE_MS = 120_000;
/** Faults of a store that may be back soon. */
const PASSING: ReadonlySet<FaultCode> = new Set<FaultCode>([
  'STORE_UNAVAILABLE',
  'BUCKET_UNAVAILABLE',
  'PEER_UNAVAILABLE',
  'DRAINING',
  'DEADLINE',
]);
const CLOSING_MS = 500;
const TRY_AGAIN = { initialMs: 250, maxMs: 10_000 };
const NEXT_BEGINS = 'so the next run begins with what there was before';

export function openDependencyKeeper(options: DependencyKeeperOptions): DependencyKeeper {
  const { describe, post, log, deadlineMs = DEADLINE_MS, waitingMax = WAITING_MAX } = options;
  const prng = prngFrom(randomInt(2 ** 47));
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const closing = new AbortController();
  const waitMs = (error: { readonly retryAfterMs: number | undefined }, tries: number) =>
    (error.retryAfterMs ?? 0) + backoffMs(TRY_AGAIN, tries, prng);

  /** A store that is away may come back: an entry is worth the wait, as far as its deadline goes. */
  async function untilBack(write: () => Promise<DependencyResult>, signal: AbortSignal): Promise<DependencyResult> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await write();
      } catch (error) {
        if (!isFault(error) || !PASSING.has(error.code) || signal.aborted) throw error;
        await sleep(waitMs(error, tries), signal);
      }
    }
  }

  async function keepOne(step: StepId, keepable: Keepable, save: DependencySave): Promise<DependencyResult> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(deadlineMs)]);
    try {
      return await untilBack(() => writeEntry(keepable, save, options, signal), signal);
    } catch (error) {
      if (closing.signal.aborted) return { name: save.name, outcome: 'dropped' }; // nobody is told: whoever leads next does it again
      return dropped(step, save.name, reasonOf(error), log);
    }
  }

  return {
    get waiting() {
      return queue.size + queue.pending;
    },
    keep(step, saves) {
      const keepable = describe(step);
      if (keepable === undefined) return;
      const answer = (results: readonly DependencyResult[]) => post({ kind: 'dependencies-kept', step, results });
      if (queue.size >= waitingMax) {
        const why = `${queue.size} others wait to be written already`;
        queueMicrotask(() => answer(saves.map(({ name }) => dropped(step, name, why, log))));
        return;
      }
      void queue.add(async () => {
        const results = await Promise.all(saves.map((save) => keepOne(step, keepable, save)));
        if (!closing.signal.aborted) answer(results);
      });
    },
    /** Writes what is waiting, for as long as its deadline allows; what is left over is done again by whoever leads next. */
    async [Symbol.asyncDispose]() {
      const give = setTimeout(() => closing.abort(), CLOSING_MS);
      await queue.onIdle();
      clearTimeout(give);
    },
  };
}

function dropped(step: StepId, name: string, why: string, log: Logger): DependencyResult {
  log.warn('dependency-not-kept', { step, name, reason: why });
  return { name, outcome: 'dropped', warning: `its entry could not be written, ${NEXT_BEGINS}: ${why}` };
}

/** Writes one entry: the first write wins. */
async function writeEntry(
  keepable: Keepable,
  save: DependencySave,
  options: DependencyKeeperOptions,
  signal: AbortSignal,
): Promise<DependencyResult> {
  const { entries, clock, log } = options;
  const cache = keepable.caches.find(({ name }) => name === save.name);
  if (entries === undefined || cache === undefined) throw new Error('there is no store for dependency caches here');
  const { project, scope, zone, provenance } = keepable;
  const at = { kind: 'dependency', owner: { project, scope }, key: entryKeyOf(cache, zone) } as const;
  const entry: Entry = { at, value: valueOf(save.trees), parts: partsOf(cache), provenance, writtenAt: clock.now() };
  const put = await entries.put(entry, { replace: false }, signal);
  if (put.kind !== 'differs' || sameTrees(put.entry.value, save.trees))
    return { name: save.name, outcome: put.kind === 'kept' ? 'kept' : 'same' };
  const other = put.entry.provenance;
  log.warn('dependency-differs', {
    build: provenance.build,
    step: provenance.step,
    name: save.name,
    key: cache.key,
    scope,
    other: other.build,
  });
  const who = other.build === '' ? '' : ` of build ${other.build}, step ${other.step},`;
  const warning = `non-determinism: the entry${who} has the same key and other content, and stays; put into the key what the content depends on`;
  return { name: save.name, outcome: 'differs', warning };
}

/** Equal trees give equal bytes: nothing of the run is in them. */
function valueOf(trees: readonly DirectoryOutput[]): Uint8Array {
  return encodeStepResult({ exitCode: 0, outputs: trees, log: undefined, usage: NO_USAGE, agent: '', startedAt: 0, endedAt: 0 });
}

function sameTrees(value: Uint8Array, trees: readonly DirectoryOutput[]): boolean {
  const rootsOf = (outputs: readonly { readonly path: string; readonly root?: string }[]) =>
    JSON.stringify(outputs.map(({ path, root }) => [path, root]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)));
  return rootsOf(decodeStepResult(value).outputs.flatMap((output) => (output.kind === 'directory' ? [output] : []))) === rootsOf(trees);
}

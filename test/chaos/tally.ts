import { createHash } from 'node:crypto';
import { checkBytes } from './checks/bytes.ts';
import { checkEnds } from './checks/ends.ts';
import type { LedgerAttempt } from './checks/journals.ts';
import { checkKept } from './checks/kept.ts';
import { checkLosses, classOf, type LossesOptions } from './checks/losses.ts';
import { checkOneResult } from './checks/one-result.ts';
import { checkWatchers } from './checks/watchers.ts';
import type { BuildSnapshot } from '../../cli/build-view.ts';
import type { ObservedBuild, Violation } from './observation.ts';

/** Everything that is looked at as soon as a build has ended. */
export function checkBuild(observed: ObservedBuild, options: LossesOptions): readonly Violation[] {
  return [
    ...checkKept(observed),
    ...checkOneResult(observed),
    ...checkBytes(observed),
    ...checkEnds(observed),
    ...checkLosses(observed, options),
    ...checkWatchers(observed),
  ];
}

/** What is kept of builds after they were checked: little enough for an hour. */
export interface Tally {
  readonly builds: number;
  readonly steps: ReadonlyMap<string, number>;
  readonly attempts: number;
  /** Attempts that ended by an error, by class. */
  readonly errors: ReadonlyMap<string, number>;
  readonly sources: ReadonlyMap<string, number>;
  readonly expiredCursors: number;
  /** Builds that the ledger forgot, and that their clients submitted again under the same key. */
  madeAgain: number;
  readonly logsRead: number;
  /** By token. */
  readonly ledgerAttempts: ReadonlyMap<string, LedgerAttempt>;
  /** Attempts in the ledger of each step with side effects, by tag. */
  readonly effects: ReadonlyMap<string, number>;
  /** Fingerprints of ended builds, oldest first. */
  readonly ended: ReadonlyMap<string, string>;
  /** When the ledger says that they ended, by id. */
  readonly endedAt: ReadonlyMap<string, number>;
  add(observed: ObservedBuild): void;
}

/** Fingerprints that are kept for the last look: that ended builds stay as they ended. */
const ENDED_MAX = 1_000;

export function openTally(): Tally {
  const [steps, errors, sources] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  const ledgerAttempts = new Map<string, LedgerAttempt>();
  const effects = new Map<string, number>();
  const ended = new Map<string, string>();
  const endedAt = new Map<string, number>();
  let [builds, attempts, expiredCursors, logsRead] = [0, 0, 0, 0];
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  return {
    steps,
    errors,
    sources,
    ledgerAttempts,
    effects,
    ended,
    endedAt,
    madeAgain: 0,
    get builds() {
      return builds;
    },
    get attempts() {
      return attempts;
    },
    get expiredCursors() {
      return expiredCursors;
    },
    get logsRead() {
      return logsRead;
    },
    add({ id, planned, snapshot, watched, logs }) {
      builds += 1;
      logsRead += logs.size;
      expiredCursors += watched.length - 1;
      if (snapshot === undefined) return;
      ended.set(id, fingerprintOf(snapshot));
      endedAt.set(id, snapshot.build.endedAtMs ?? 0);
      if (ended.size > ENDED_MAX) {
        const oldest = ended.keys().next().value ?? '';
        ended.delete(oldest);
        endedAt.delete(oldest);
      }
      const kinds = new Map(planned.steps.map(({ name, kind }) => [name, kind]));
      for (const step of snapshot.steps) {
        count(steps, step.verdict ?? 'open');
        if (step.source !== undefined) count(sources, step.source);
        attempts += step.attempts.length;
        for (const attempt of step.attempts) {
          const error = classOf(attempt);
          if (error !== undefined) count(errors, error);
          const accepted =
            attempt === step.attempts.at(-1) && step.result !== undefined && step.source !== 'cache' && step.source !== 'merge';
          const log = accepted ? step.result?.log?.digest : undefined;
          ledgerAttempts.set(attempt.token, { step: `${id}/${step.name}`, agent: attempt.agent, accepted, log });
        }
        if (kinds.get(step.name) === 'effect') effects.set(`${planned.key}/${step.name}`, step.attempts.length);
      }
    },
  };
}

/** What may never change once a build has ended. */
export function fingerprintOf({ build, steps }: BuildSnapshot): string {
  return createHash('sha256').update(JSON.stringify({ build, steps })).digest('hex');
}

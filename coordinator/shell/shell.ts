import { randomInt } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditNote, AuditSink } from '../../base/audit.ts';
import type { Env } from '../../base/env.ts';
import type { SealedLog } from '../../cache/action/result.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { FloorOf } from '../../cache/quotas.ts';
import type { EntryFinder } from '../../cache/entries/finder.ts';
import type { DataPlane } from '../../cache/rpc/client.ts';
import { present, unreachable } from '../../base/assert.ts';
import { buildOf, type BuildId, type LeaseToken, type StepId } from '../core/ids.ts';
import type { Event } from '../core/event.ts';
import type { Timings } from '../core/limits.ts';
import type { Outbound } from '../core/outcome.ts';
import { Scheduler } from '../core/scheduler.ts';
import type { LedgerRecord } from '../core/record.ts';
import { groupCommit, type AroundCommit } from '../ledger/group-commit.ts';
import type { Ledger, Term } from '../ledger/ledger.ts';
import type { CoreView } from './core-view.ts';
import { openDependencyKeeper, type DependencyKeeper } from './dependency-keeper.ts';
import { describeKeepable, describeOffer, describeStep, instanceOf, isLeftThere } from './describe.ts';
import { startDriver, type Driver, type Receivers } from './driver.ts';
import { logOf } from './log-target.ts';
import { openLogStore, type LogLimits, type LogStore } from './logs.ts';
import { loggedResults } from './logged-results.ts';
import { openPublisher, type PublicationEnd, type Publisher } from './publisher.ts';
import { provenActions } from './proven-actions.ts';
import { openResolver, RESOLVER_DEFAULTS, type BuildCache, type Resolver } from './resolver.ts';
import { openSealer, type Sealer, type SealerOptions } from './sealer.ts';
import { openSessions, type Sessions } from './sessions.ts';
import { steadyClock } from './steady-clock.ts';
import { openWatch, type Watch } from './watch.ts';
import { zoneGate } from './zone-gate.ts';

/**
 * Everything around the core: what turns its outcomes into deeds, and what the services ask. Disposal ends the agents' streams
 * first; where the driver has stepped down nothing more is committed.
 */
export interface Shell extends AsyncDisposable {
  /** Takes no more events and returns once everything that was applied is durable and delivered. Streams stay open. */
  drain(): Promise<void>;
  readonly core: CoreView;
  readonly driver: Driver;
  readonly sessions: Sessions;
  readonly watch: Watch;
  readonly logs: LogStore;
  /** Where a build's blobs are. */
  readonly storeOf: (build: BuildId) => BlobStore;
  /** What waits for the data plane, and what became of results that were to be published. */
  readonly stats: Pick<Publisher, 'counts'> & { readonly resolving: number; readonly publishing: number };
}

/** Hears of what the shell does, to measure it. */
export type ShellMeasures = {
  readonly aroundCommit: AroundCommit;
  /** Records of one outcome have just become durable. */
  readonly wrote: (writes: readonly LedgerRecord[], core: CoreView) => void;
};

export type ShellOptions = {
  readonly ledger: Ledger;
  /** The term that this coordinator leads. */
  readonly term: Term;
  readonly data: Pick<DataPlane, 'withInstance'>;
  /**
   * Where entries of dependency caches are, and results with who made them. @default none: steps begin without, none is kept, and
   * results are kept without who made them
   */
  readonly entries?: EntryFinder | undefined;
  /** @default the data plane stages nothing */
  readonly staging?: SealerOptions['staging'];
  readonly timings: Partial<Timings>;
  readonly logLimits: LogLimits;
  readonly signOfLifeMs: number;
  readonly env: Env;
  /** From which zone on each scope takes results. @default any */
  readonly floorOf?: FloorOf;
  /** As `DriverOptions.holds`. @default always */
  readonly holds?: () => boolean;
  /** Gives up the recovery, where the term is over before it has ended. @default never */
  readonly signal?: AbortSignal;
  /** @default nobody measures */
  readonly measures?: ShellMeasures;
  /** Takes note of what was refused for a lack of trust. @default nobody */
  readonly audit?: AuditSink;
};

/**
 * Recovers the core from the ledger and sets it going: what was under way goes on. Other work of the process has its turns
 * during the recovery, so that the term can be renewed. @throws {Fault} LEDGER_UNAVAILABLE; why the signal aborted
 */
export async function startShell(options: ShellOptions): Promise<Shell> {
  const { ledger, term, data, env, holds = () => true, signal = new AbortController().signal } = options;
  const core = new Scheduler({ nonce: term.nonce, timings: options.timings, seed: randomInt(2 ** 48 - 1) });
  for await (const records of ledger.load(signal)) {
    core.restore(records);
    await nextTurn();
    signal.throwIfAborted();
  }
  const clock = await steadyClock({ ledger, clock: env.clock, earliestMs: core.newestTime(), signal });
  const cacheOf = (instanceName: string) => data.withInstance(instanceName);
  const storeOf = (build: BuildId) => data.withInstance(instanceOf(core, build) ?? '').store;
  const watch = openWatch({
    ledger,
    incarnation: term.incarnation,
    stateOf: (build) => watchedState(core, build),
    signOfLifeMs: options.signOfLifeMs,
  });
  const sessions = openSessions({ complete: (step) => describeOffer(core, step), log: env.log });
  let parts: Parts | undefined;
  const driver = startDriver({
    core,
    first: core.resume(clock.now()),
    commits: groupCommit(ledger, term, holds, options.measures?.aroundCommit),
    clock,
    env,
    holds,
    receivers: (started) => {
      parts = openParts(options, { core, driver: started, sessions, watch, cacheOf, storeOf });
      return receiversOf(parts, options);
    },
  });
  const { logs, publisher, keeper, sealer, resolver } = present(parts, 'a started driver has made its receivers');
  return {
    core,
    driver,
    sessions,
    watch,
    logs,
    storeOf,
    stats: {
      get counts() {
        return publisher.counts;
      },
      get resolving() {
        return resolver.waiting;
      },
      get publishing() {
        return publisher.waiting + keeper.waiting + sealer.waiting;
      },
    },
    async drain() {
      await resolver[Symbol.asyncDispose]();
      await sealer[Symbol.asyncDispose]();
      await keeper[Symbol.asyncDispose](); // while what it tells can still be written down
      await driver[Symbol.asyncDispose]();
    },
    async [Symbol.asyncDispose]() {
      sessions.closeAll();
      await resolver[Symbol.asyncDispose]();
      await sealer[Symbol.asyncDispose]();
      await keeper[Symbol.asyncDispose]();
      await driver[Symbol.asyncDispose]();
      await logs[Symbol.asyncDispose]();
      await publisher[Symbol.asyncDispose]();
    },
  };
}

type Common = {
  readonly core: CoreView;
  readonly driver: Driver;
  readonly sessions: Sessions;
  readonly watch: Watch;
  readonly cacheOf: (instanceName: string) => BuildCache;
  readonly storeOf: (build: BuildId) => BlobStore;
};

type Parts = Pick<Common, 'core' | 'sessions' | 'watch'> & {
  readonly resolver: Resolver;
  readonly publisher: Publisher;
  readonly keeper: DependencyKeeper;
  readonly sealer: Sealer;
  readonly logs: LogStore;
  readonly post: (event: Event) => void;
  /** Whether what the step made may be kept in its scope. */
  readonly mayKeep: (step: StepId) => boolean;
};

/** The parts that answer the core's sends. */
function openParts(
  { env, ledger, logLimits, term, entries, staging, audit, floorOf = () => undefined }: ShellOptions,
  common: Common,
): Parts {
  const { core, driver, sessions, watch, cacheOf, storeOf } = common;
  const resolver = openResolver({
    describe: (step) => describeStep(core, step, { cacheOf, entries }),
    post: (event) => driver.post(event),
    log: env.log,
    ...RESOLVER_DEFAULTS,
  });
  const publisher = openPublisher({
    actionsOf: (step, again) =>
      entries === undefined ? actionsOf(core, step, cacheOf) : provenActions(core, step, entries, env.clock, again),
    log: env.log,
  });
  const logs = openLogStore({
    commit: (records) => driver.append(records),
    stored: (token, signal) => ledger.log(token, signal),
    storeOf,
    isOwn: (token) => token.startsWith(`${term.nonce}.`),
    limits: logLimits,
    log: env.log,
  });
  const keeper = openDependencyKeeper({
    entries,
    describe: (step) => describeKeepable(core, step),
    post: (event) => driver.post(event),
    clock: env.clock,
    log: env.log,
  });
  const sealer = openSealer({
    staging,
    isThere: (step, signal) => isLeftThere(core, step, cacheOf, signal),
    post: (event) => driver.post(event),
    log: env.log,
  });
  const mayKeep = zoneGate({ core, floorOf, log: env.log, audit });
  return { core, sessions, watch, resolver, publisher, keeper, sealer, logs, mayKeep, post: (event) => driver.post(event) };
}

/** Who carries out which send. */
function receiversOf(parts: Parts, { measures, audit }: Pick<ShellOptions, 'measures' | 'audit'>): Receivers {
  const logged = loggedResults();
  const publish = (send: Extract<Outbound, { kind: 'publish' }>) => {
    const { step, since } = send;
    const told = (end: PublicationEnd) => {
      if (end === 'put-off' && since !== undefined) return parts.sealer.seal(step); // it is written once the store takes it
      // One that is written again was probably there, so that nothing is said of it.
      if (since !== undefined || (end !== 'written' && !send.again))
        parts.post({ kind: 'step-published', step, since, written: end === 'written' });
    };
    if (!parts.mayKeep(step)) return told('refused');
    return logged.whenLogged(step, send.result, (result) => parts.publisher.publish({ ...send, result }, told));
  };
  return {
    committed(writes) {
      parts.watch.committed(writes);
      measures?.wrote(writes, parts.core);
    },
    prepare(send) {
      if (send.kind === 'tell-agent') parts.sessions.prepare(send.session, send.message);
    },
    send(send: Outbound) {
      switch (send.kind) {
        case 'tell-agent':
          return parts.sessions.tell(send.session, send.message);
        case 'resolve':
          return parts.resolver.resolve(send.step);
        case 'publish':
          return publish(send);
        case 'keep-dependencies':
          return parts.mayKeep(send.step) ? parts.keeper.keep(send.step, send.saves) : undefined;
        case 'seal':
          return parts.sealer.seal(send.step);
        case 'distrusted':
          return audit?.note(distrustNote(parts.core, send.step, send.why));
        case 'close-log': {
          const reported = sealedLog(parts.core, send.step, send.token);
          const closed = parts.logs.close(buildOf(send.step), send.token, reported);
          if (reported === undefined) logged.closing(send.step, closed);
          return;
        }
        case 'forget-build':
          return parts.logs.forget(send.tokens);
        default:
          return unreachable(send);
      }
    },
  };
}

/** Whose step was not run, and why. */
function distrustNote(core: CoreView, step: StepId, why: string): AuditNote {
  const actor = core.build(buildOf(step))?.record.spec.submittedBy ?? '';
  return { act: 'trust', outcome: 'refused', actor, subject: step, detail: why, peer: '' };
}

/** The whole log of the lease's attempt, where its agent reported one. */
function sealedLog(core: CoreView, step: StepId, token: LeaseToken): SealedLog | undefined {
  const record = core.step(step)?.record.attempts.find((attempt) => attempt.token === token);
  return record === undefined ? undefined : logOf(record);
}

function actionsOf(core: CoreView, step: StepId, cacheOf: Common['cacheOf']): BuildCache['actions'] | undefined {
  const instanceName = instanceOf(core, buildOf(step));
  return instanceName === undefined ? undefined : cacheOf(instanceName).actions;
}

function watchedState(core: CoreView, build: BuildId) {
  const view = core.build(build);
  return view === undefined ? undefined : { ended: view.state.kind === 'ended', lastSeq: view.lastEventSeq };
}

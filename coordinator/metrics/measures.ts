import type { Clock } from '../../base/clock.ts';
import { SECONDS, type Metrics } from '../../base/metrics.ts';
import { stepIdOf } from '../core/ids.ts';
import type { LedgerRecord } from '../core/record.ts';
import type { CoreView } from '../shell/core-view.ts';
import type { ShellMeasures } from '../shell/shell.ts';

/** Measures what the shell commits, and from the events of builds how long steps waited. */
export function shellMeasures(metrics: Metrics, clock: Clock): ShellMeasures {
  const commits = metrics.histogram(
    'switchyard_ledger_commit_seconds',
    'Time of a commit to the ledger, tries again included. Everything that agents and callers are told waits for one.',
    SECONDS,
  );
  const records = metrics.counter('switchyard_ledger_records_total', 'Records that were made durable.');
  const failed = metrics.counter('switchyard_ledger_commits_failed_total', 'Commits that failed for good: the coordinator steps down.');
  const queueWait = metrics.histogram(
    'switchyard_step_queue_seconds',
    'Time from when a step could run until an agent accepted its first attempt.',
    SECONDS,
  );
  const dispatch = metrics.histogram(
    'switchyard_dispatch_seconds',
    'Time from when an agent was chosen for a step until it accepted: the commit of the lease, the way there and back, the agent itself.',
    SECONDS,
  );
  const toStart = metrics.histogram(
    'switchyard_submit_to_start_seconds',
    'Time from the acceptance of a build until the command of a step that needs no other was started for the first time.',
    SECONDS,
  );
  const note = (write: Extract<LedgerRecord, { kind: 'event' }>, core: CoreView): void => {
    const { event, build } = write;
    if (event.kind !== 'attempt-accepted' && event.kind !== 'attempt-started') return;
    const step = core.step(stepIdOf(build, event.step));
    if (step === undefined) return;
    const { state } = step.record;
    if (event.kind === 'attempt-accepted' && state.kind === 'running')
      dispatch.observe(Math.max(0, event.at - state.lease.grantedAt) / 1_000, {});
    if (event.attempt !== 1) return;
    if (event.kind === 'attempt-accepted') queueWait.observe(Math.max(0, event.at - (step.record.readyAt ?? event.at)) / 1_000, {});
    else if (step.spec.needs.length === 0) {
      const acceptedAt = core.build(build)?.record.acceptedAt;
      if (acceptedAt !== undefined) toStart.observe(Math.max(0, event.at - acceptedAt) / 1_000, {});
    }
  };
  return {
    aroundCommit(count, commit) {
      const startedAt = clock.monotonic();
      const committing = commit();
      const note = (counter: typeof records, value: number) => {
        const seconds = (clock.monotonic() - startedAt) / 1_000;
        // In the next turn: agents and callers wait for what follows from the commit.
        setImmediate(() => {
          counter.add(value, {});
          commits.observe(seconds, {});
        });
      };
      committing.then(
        () => note(records, count),
        () => note(failed, 1),
      );
      return committing;
    },
    wrote(writes, core) {
      for (const write of writes) if (write.kind === 'event') note(write, core);
    },
  };
}

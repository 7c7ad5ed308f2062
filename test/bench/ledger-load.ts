import { present } from '../../base/assert.ts';
import { parseAgentId, sessionIdOf, stepIdOf, type BuildId } from '../../coordinator/core/ids.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import type { StepRecord } from '../../coordinator/core/state.ts';
import { buildNumber, buildRecord, eventRecord, sessionRecord, specRecord } from '../contract/ledger-records.ts';

/** A queued step, as it is written when it becomes ready. */
export function queuedStep(build: BuildId, name: string): LedgerRecord {
  const nothing = { action: undefined, attempts: [], attemptCount: 0, failures: {}, lostAgents: [], avoid: [] };
  const step: StepRecord = { ...nothing, state: { kind: 'queued', notBefore: undefined }, readyAt: 1_000, lastEventSeq: 2 };
  return { kind: 'step', id: stepIdOf(build, name), step };
}

/** All records of a build of queued steps, three for each step, the build's own last. */
export function queuedBuild(number: number, stepCount: number): readonly LedgerRecord[] {
  const id = buildNumber(number);
  const names = Array.from({ length: stepCount }, (_, index) => `step-${index}`);
  const steps = names.flatMap((name, index) => [
    specRecord(stepIdOf(id, name), name),
    queuedStep(id, name),
    eventRecord(id, index + 1, name),
  ]);
  return [...steps, { kind: 'build-state', id, state: { kind: 'running', cancelling: undefined } }, buildRecord(id, names)];
}

export function sessions(count: number): readonly LedgerRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const agent = present(parseAgentId(`load-${index}`), 'an agent id');
    const record = sessionRecord(1);
    if (record.kind !== 'session') throw new Error('not a session');
    const session = { ...record.session, session: sessionIdOf(agent, 1), facts: { ...record.session.facts, agent } };
    return { kind: 'session', agent, session };
  });
}

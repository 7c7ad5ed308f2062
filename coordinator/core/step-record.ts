import type { Lease, StepRecord } from './state.ts';

/** A step of which nothing is known but its spec. */
export const FRESH_STEP: StepRecord = {
  state: { kind: 'blocked' },
  readyAt: undefined,
  action: undefined,
  attempts: [],
  attemptCount: 0,
  failures: {},
  lostAgents: [],
  avoid: [],
  lastEventSeq: 0,
};

/**
 * A record that is being made, always as `{ ...step.record, what changes }`: by one spread of a record and fields that
 * records have, so that all are of one shape, which the engine makes many times as fast as others.
 */
export type Draft = { -readonly [Field in keyof StepRecord]: StepRecord[Field] };

/** The lease that the step is under. */
export function leaseOf(record: StepRecord): Lease | undefined {
  return record.state.kind === 'offered' || record.state.kind === 'running' ? record.state.lease : undefined;
}

/** Whether what the step left may still be lost with a data plane's disk: see `unsealed.ts`. */
export function isUnsealed({ unsealed }: StepRecord): boolean {
  return unsealed !== undefined && unsealed.sealedAt === undefined;
}

/** Whether the step gives those that need it what they wait for. */
export function isSuccess(record: StepRecord): boolean {
  if (record.state.kind !== 'ended') return false;
  const { outcome } = record.state;
  return outcome.kind === 'succeeded' || (outcome.kind === 'skipped' && outcome.dependentsRun);
}

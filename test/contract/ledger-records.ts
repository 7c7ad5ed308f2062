import type { BuildId, LeaseToken, StepId } from '../../coordinator/core/ids.ts';
import { leaseTokenOf, parseAgentId, parseBuildId, sessionIdOf, stepIdOf } from '../../coordinator/core/ids.ts';
import type { BuildEvent, LedgerRecord } from '../../coordinator/core/record.ts';
import type { StepSpec } from '../../coordinator/core/spec.ts';
import type { StepRecord } from '../../coordinator/core/state.ts';
import type { LogRecord } from '../../coordinator/ledger/ledger.ts';
import { present } from '../../base/assert.ts';
import { PLAIN_STEP } from '../fixtures/plain-step.ts';
import { weightedTopology } from '../fixtures/weighted-topology.ts';

/** The build with the number, ordered as the numbers. */
export function buildNumber(number: number): BuildId {
  return present(parseBuildId(`b-${String(number).padStart(26, '0')}`), 'a build id');
}

export const AGENT = present(parseAgentId('edge-1.example'), 'an agent id');

export function tokenNumber(number: number): LeaseToken {
  return leaseTokenOf('0123456789abcdef0123456789abcdef', number);
}

export function buildRecord(id: BuildId, stepNames: readonly string[], name = 'nightly'): LedgerRecord {
  const spec = {
    name,
    project: 'demo',
    scope: 'main',
    zoneCeiling: 'trusted',
    submittedBy: 'ann',
    labels: { branch: 'main' },
    weight: 1,
    timeoutMs: undefined,
    failFast: false,
  } as const;
  return { kind: 'build', build: { id, spec, stepNames, acceptedAt: 1_000, idempotencyKey: `key of ${id}` } };
}

export function specRecord(id: StepId, name: string, command: readonly string[] = ['true']): LedgerRecord {
  const spec: StepSpec = {
    ...PLAIN_STEP,
    name,
    command,
    env: { LANG: 'C' },
    outputs: ['out'],
    selector: 'class=edge',
    resources: { cpuMillis: 500, memoryBytes: 1_048_576, slots: 1, custom: {} },
    zone: 'trusted',
    sandbox: ['isolatesFiles'],
  };
  return { kind: 'step-spec', id, spec };
}

export function stepRecord(id: StepId, attemptCount = 0): LedgerRecord {
  const step: StepRecord = {
    state: { kind: 'blocked' },
    readyAt: undefined,
    action: undefined,
    attempts: [],
    attemptCount,
    failures: {},
    lostAgents: [],
    avoid: [],
  };
  return { kind: 'step', id, step };
}

/** All records of a build's submission, in their order: the build itself comes last. */
export function submission(id: BuildId, stepNames: readonly string[]): readonly LedgerRecord[] {
  const steps = stepNames.flatMap((name) => {
    const step = stepIdOf(id, name);
    return [specRecord(step, name), stepRecord(step)];
  });
  return [
    ...steps,
    { kind: 'build-state', id, state: { kind: 'running', cancelling: undefined } },
    eventRecord(id, 1),
    buildRecord(id, stepNames),
  ];
}

export function buildEvent(seq: number, step = `step ${seq}`): BuildEvent {
  return { seq, at: 1_000 + seq, kind: 'step-ready', step };
}

export function eventRecord(build: BuildId, seq: number, step?: string): LedgerRecord {
  return { kind: 'event', build, event: buildEvent(seq, step) };
}

export function sessionRecord(epoch: number): LedgerRecord {
  const facts = {
    agent: AGENT,
    bootId: 'boot',
    labels: { zone: 'trusted' },
    capacity: { cpuMillis: 4_000, memoryBytes: 8_589_934_592, slots: 4, custom: { gpu: 1 } },
    sandbox: ['isolatesHost'],
    version: '1.0.0',
  } as const;
  return { kind: 'session', agent: AGENT, session: { session: sessionIdOf(AGENT, epoch), epoch, facts, registeredAt: 5 } };
}

export function holdRecord(target: string, reason: string): LedgerRecord {
  return { kind: 'hold', hold: { target, kind: 'pause', reason, by: 'ann', since: 7, expiresAt: undefined } };
}

export function topologyRecord(revision: number): LedgerRecord {
  const topology = weightedTopology({ web: revision });
  const digest = String(revision).repeat(64).slice(0, 64);
  return { kind: 'topology', revision: { revision, digest, text: 'version: 1\n# für alle\n', topology, by: 'ann', at: 9, reason: 'more' } };
}

export function chunk(build: BuildId, token: LeaseToken, offset: number, bytes: Uint8Array): LogRecord {
  return { kind: 'log-chunk', build, token, offset, bytes };
}

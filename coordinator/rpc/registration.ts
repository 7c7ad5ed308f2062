import type { Identity } from '../../base/auth.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { TRUSTED_LABELS, type Labels } from '../../base/labels.ts';
import type { AttemptReport, DependencyReport } from '../../cache/action/result.ts';
import { joinPath } from '../../cache/tree/path.ts';
import { attemptReportFromProto, resourcesFromProto, sandboxTraitsFromProto } from '../../proto/convert.ts';
import type { AttemptReport__Output } from '../../proto/gen/switchyard/v1/AttemptReport.ts';
import type { HeldLease__Output } from '../../proto/gen/switchyard/v1/HeldLease.ts';
import type { Register__Output } from '../../proto/gen/switchyard/v1/Register.ts';
import type { HeldLease } from '../core/event.ts';
import { parseAgentId, parseLeaseToken, type AgentId, type LeaseToken } from '../core/ids.ts';
import { LIMITS } from '../core/limits.ts';
import type { AgentFacts } from '../core/state.ts';
import { bad, brief, sorted, textField, wholeField } from './fields.ts';

/** Versions of the agent protocol that this coordinator speaks. It keeps the newest three, so agents may lag by two. */
export const PROTOCOL = { min: 1, max: 2 } as const;

export type AgentIdentity = Extract<Identity, { kind: 'agent' }>;

export type Registration = {
  readonly protocol: number;
  readonly facts: AgentFacts;
  readonly credits: number;
  readonly held: readonly HeldLease[];
  readonly draining: boolean;
};

const CREDITS_MAX = 10_000;
const HELD_MAX = 10_000;
/** Characters of a report's message that are kept. */
const MESSAGE_MAX = 4_096;
const LABEL_KEY = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._:+-]{0,251}[A-Za-z0-9])?)?$/;

/** The working directory of the attempt under a token, from the root of its inputs on; '', the root, where it is not known. */
export type DirectoryOf = (token: LeaseToken) => string;

/**
 * An agent's first message, checked against its credential: labels of trust come from there, whatever the agent says.
 * @throws {Fault} BAD_REQUEST naming the field, FORBIDDEN for a claim of trust, PROTOCOL_UNSUPPORTED
 */
export function registrationFromProto(message: Register__Output, identity: AgentIdentity, directoryOf: DirectoryOf): Registration {
  const protocol = protocolOf(message);
  const agent = parseAgentId(message.agentId);
  if (agent === undefined) {
    throw bad('register.agent_id', `must be 1 to 63 characters of a-z, 0-9, "." and "-", but is "${brief(message.agentId)}"`);
  }
  if (identity.id !== undefined && identity.id !== agent) {
    throw new Fault(
      'FORBIDDEN',
      `The agent says that it is ${agent}, and its certificate that it is ${identity.id}: give it --id ${identity.id}`,
      {
        field: 'register.agent_id',
      },
    );
  }
  const capacity = resourcesFromProto(message.capacity, 'register.capacity');
  if (capacity.slots < 1) throw bad('register.capacity.slots', 'must be at least 1');
  if (message.held.length > HELD_MAX) throw bad('register.held', `has ${message.held.length} entries, at most ${HELD_MAX} are taken`);
  return {
    protocol,
    facts: {
      agent,
      bootId: textField(message.bootId, 'register.boot_id', 1, 128),
      labels: labelsOf(message.labels, identity),
      capacity: { ...capacity, custom: sorted(capacity.custom) },
      sandbox: sandboxTraitsFromProto(message.sandbox, 'register.sandbox'),
      version: textField(message.version, 'register.version', 0, 64),
    },
    credits: wholeField(message.credits, 'register.credits', 0, CREDITS_MAX),
    held: message.held.map((lease, index) => heldOf(lease, agent, directoryOf, `register.held[${index}]`)),
    draining: message.draining,
  };
}

function protocolOf(message: Register__Output): number {
  const newest = Math.min(message.protocolMax, PROTOCOL.max);
  if (newest >= Math.max(message.protocolMin, PROTOCOL.min)) return newest;
  const older = message.protocolMax < PROTOCOL.min ? 'agent' : 'coordinator';
  throw new Fault(
    'PROTOCOL_UNSUPPORTED',
    `The agent speaks protocol ${message.protocolMin} to ${message.protocolMax}, ` +
      `this coordinator ${PROTOCOL.min} to ${PROTOCOL.max}: upgrade the ${older}`,
  );
}

function labelsOf(claimed: Labels, identity: AgentIdentity): Labels {
  const entries = Object.entries(claimed);
  if (entries.length > LIMITS.labelsPerAgent)
    throw bad('register.labels', `has ${entries.length} entries, at most ${LIMITS.labelsPerAgent} are taken`);
  for (const [key, value] of entries) {
    if (!LABEL_KEY.test(key)) throw bad('register.labels', `has the key "${brief(key)}"; keys are letters, digits, ".", "_", "/" and "-"`);
    if (!LABEL_VALUE.test(value) || value.length > LIMITS.labelBytes) {
      throw bad(`register.labels["${key}"]`, `is "${brief(value)}"; values are letters, digits, ".", "_", ":", "+" and "-"`);
    }
  }
  for (const key of TRUSTED_LABELS) {
    const said = claimed[key];
    if (said !== undefined && said !== identity[key]) {
      throw new Fault('FORBIDDEN', `The agent claims ${key}=${said}, but its credential says ${key}=${identity[key]}: remove the label`, {
        field: `register.labels["${key}"]`,
      });
    }
  }
  return sorted({ ...claimed, cluster: identity.cluster, pool: identity.pool, zone: identity.zone });
}

function heldOf(lease: HeldLease__Output, agent: AgentId, directoryOf: DirectoryOf, at: string): HeldLease {
  const token = tokenField(lease.token, `${at}.token`);
  if (lease.finished !== null) return { token, phase: { kind: 'finished', report: reportOf(lease.finished, agent, directoryOf(token)) } };
  return { token, phase: { kind: lease.started ? 'started' : 'accepted' } };
}

export function tokenField(text: string, field: string): LeaseToken {
  const token = parseLeaseToken(text);
  if (token === undefined) throw bad(field, `is not a lease token: "${brief(text)}"`);
  return token;
}

/**
 * How an attempt ended. A report that says nothing valid counts as an error of the agent, so that the attempt ends and the step
 * goes elsewhere: refusing the message would only bring it back. Who made the result is `agent`, whatever it says: purges go by it.
 * Outputs lie below the root of the inputs, from `workingDirectory` on.
 */
export function reportOf(message: AttemptReport__Output | null, agent: AgentId, workingDirectory: string): AttemptReport {
  try {
    const report = madeBy(agent, attemptReportFromProto(message, 'finished.report'));
    const count = report.result?.outputs.length ?? 0;
    if (count > LIMITS.outputsPerStep)
      throw bad('finished.report.result.outputs', `has ${count} entries, at most ${LIMITS.outputsPerStep} are taken`);
    for (const { path } of report.result?.outputs ?? []) joinPath(workingDirectory, path);
    const said = report.dependencies === undefined ? {} : { dependencies: briefDependencies(report.dependencies) };
    if (report.kind === 'failed') return { ...report, ...said, message: report.message.slice(0, MESSAGE_MAX) };
    return report.dependencies === undefined ? report : { ...report, ...said };
  } catch (error) {
    if (!isFault(error)) throw error;
    return { kind: 'failed', class: 'sandbox-error', message: `the agent's report is malformed: ${error.message}`, result: undefined };
  }
}

function madeBy(agent: AgentId, report: AttemptReport): AttemptReport {
  if (report.kind === 'succeeded') return { ...report, result: { ...report.result, agent } };
  return report.result === undefined ? report : { ...report, result: { ...report.result, agent } };
}

/** With problems as short as people read them, and no more of them than a step has dependency caches. */
function briefDependencies(reports: readonly DependencyReport[]): readonly DependencyReport[] {
  return reports.slice(0, LIMITS.dependencyCachesPerStep).map((report) => ({
    ...report,
    ...(report.placeProblem === undefined ? {} : { placeProblem: report.placeProblem.slice(0, MESSAGE_MAX) }),
    save: report.save.kind === 'dropped' ? { kind: 'dropped', problem: report.save.problem.slice(0, MESSAGE_MAX) } : report.save,
  }));
}

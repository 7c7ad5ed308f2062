import { unreachable } from '../../base/assert.ts';
import { hostOf } from '../../base/address.ts';
import { Fault } from '../../base/fault.ts';
import {
  attemptReportToProto,
  countFromProto,
  demandFromProto,
  digestFromProto,
  directoriesFromProto,
  resourcesToProto,
  sandboxTraitsFromProto,
  sandboxTraitToProto,
} from '../../proto/convert.ts';
import type { AgentMessage as AgentMessageProto } from '../../proto/gen/switchyard/v1/AgentMessage.ts';
import type { CoordinatorMessage__Output } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import type { FinishedReply__Output } from '../../proto/gen/switchyard/v1/FinishedReply.ts';
import type { HeldLease as HeldLeaseProto } from '../../proto/gen/switchyard/v1/HeldLease.ts';
import type { LeaseVerdict__Output } from '../../proto/gen/switchyard/v1/LeaseVerdict.ts';
import type { Offer__Output } from '../../proto/gen/switchyard/v1/Offer.ts';
import type { OfferedDependency__Output } from '../../proto/gen/switchyard/v1/OfferedDependency.ts';
import type { Refused__Output } from '../../proto/gen/switchyard/v1/Refused.ts';
import type { Registered__Output } from '../../proto/gen/switchyard/v1/Registered.ts';
import type {
  AgentMessage,
  CoordinatorMessage,
  HeldLease,
  LeaseVerdict,
  LeaseWord,
  Offer,
  OfferedDependency,
  Registered,
  ResultVerdict,
} from '../session/message.ts';
import type { ReadLog } from '../session/stream.ts';

/** The message for the wire; undefined for a piece of a log that the spool has dropped since. */
export function agentMessageToProto(message: AgentMessage, readLog: ReadLog): AgentMessageProto | undefined {
  switch (message.kind) {
    case 'register': {
      const { kind: _, capacity, sandbox, held, labels, ...rest } = message;
      const traits = sandbox.map(sandboxTraitToProto);
      return {
        register: { ...rest, labels: { ...labels }, capacity: resourcesToProto(capacity), sandbox: traits, held: held.map(heldToProto) },
      };
    }
    case 'heartbeat':
      return { heartbeat: { tokens: [...message.tokens], credits: message.credits, cordonReason: message.cordonReason ?? '' } };
    case 'accept':
      return { accept: { token: message.token } };
    case 'reject':
      return { reject: { token: message.token, reason: message.reason } };
    case 'running':
      return { running: { token: message.token } };
    case 'log': {
      const data = readLog(message.token, message.offset, message.length);
      return data.length === 0 ? undefined : { log: { token: message.token, offset: String(message.offset), data: Buffer.from(data) } };
    }
    case 'finished':
      return { finished: { token: message.token, report: attemptReportToProto(message.report) } };
    case 'draining':
      return { draining: { reason: message.reason } };
    case 'leaving':
      return { leaving: {} };
    default:
      return unreachable(message);
  }
}

function heldToProto({ token, phase }: HeldLease): HeldLeaseProto {
  switch (phase.kind) {
    case 'accepted':
      return { token, started: false };
    case 'started':
      return { token, started: true };
    case 'finished':
      return { token, started: true, finished: attemptReportToProto(phase.report) };
    default:
      return unreachable(phase);
  }
}

/**
 * The coordinator's message as a value; undefined for a kind that this agent does not know, which a newer coordinator may
 * send and expects to be ignored. @throws {Fault} BAD_REQUEST naming the field.
 */
export function coordinatorMessageFromProto(message: CoordinatorMessage__Output): CoordinatorMessage | undefined {
  const { registered, refused, offer, withdrawn, heartbeatReply, cancel, logAck, finishedReply, drain } = message;
  if (heartbeatReply) return { kind: 'heartbeat-reply', leases: heartbeatReply.leases.flatMap(verdictFromProto) };
  if (offer) return offerFromProto(offer);
  if (finishedReply) return { kind: 'result-reply', token: finishedReply.token, verdict: resultVerdictFromProto(finishedReply) };
  if (logAck) return { kind: 'log-ack', token: logAck.token, offset: countFromProto(logAck.offset, 'log_ack.offset') };
  if (cancel) {
    return { kind: 'cancel', token: cancel.token, reason: cancel.reason, graceMs: countFromProto(cancel.graceMs, 'cancel.grace_ms') };
  }
  if (registered) return registeredFromProto(registered);
  if (refused) return refusedFromProto(refused);
  if (withdrawn) return { kind: 'offer-withdrawn', token: withdrawn.token };
  if (drain) return { kind: 'drain', reason: drain.reason };
  return undefined;
}

/** What does not look like an address is no redirection. */
function refusedFromProto({ retry, reason, leaderAddress }: Refused__Output): CoordinatorMessage {
  return { kind: 'refused', retry, reason, ...(hostOf(leaderAddress) === undefined ? {} : { leaderAddress }) };
}

function offerFromProto(offer: Offer__Output): Offer {
  const { token, step, attempt, command, env, passEnv, workingDirectory, outputs, network, sideEffects, instanceName } = offer;
  if (command.length === 0) throw new Fault('BAD_REQUEST', 'offer.command must name a program', { field: 'offer.command' });
  return {
    kind: 'offer',
    token,
    build: offer.buildId,
    step,
    attempt,
    leaseTtlMs: countFromProto(offer.leaseTtlMs, 'offer.lease_ttl_ms'),
    command,
    env,
    passEnv,
    workingDirectory,
    inputRoot: digestFromProto(offer.inputRoot, 'offer.input_root'),
    outputs,
    resources: demandFromProto(offer.resources, 'offer.resources'),
    network,
    sandbox: sandboxTraitsFromProto(offer.sandbox, 'offer.sandbox'),
    sideEffects,
    runTimeoutMs: countFromProto(offer.runTimeoutMs, 'offer.run_timeout_ms'),
    graceMs: countFromProto(offer.graceMs, 'offer.grace_ms'),
    instanceName,
    ...(offer.grant === '' ? {} : { grant: offer.grant }),
    streamsApart: offer.streamsApart,
    dependencies: offer.dependencies.flatMap(dependencyFromProto),
  };
}

/** One that cannot be read is left out: the coordinator then says that nothing of it was kept. */
function dependencyFromProto(message: OfferedDependency__Output, index: number): readonly OfferedDependency[] {
  const { name, paths, save, exact, only, keepModes, keepMtimes } = message;
  try {
    const placed = directoriesFromProto(message.placed, `offer.dependencies[${index}].placed`);
    return [{ name, paths, placed, save, exact, only, keepModes, keepMtimes }];
  } catch (error) {
    if (error instanceof Fault) return [];
    throw error;
  }
}

function registeredFromProto(message: Registered__Output): Registered {
  const read = (value: string, name: string) => countFromProto(value, `registered.${name}`);
  const heartbeatMs = read(message.heartbeatMs, 'heartbeat_ms');
  const leaseTtlMs = read(message.leaseTtlMs, 'lease_ttl_ms');
  if (heartbeatMs < 1 || heartbeatMs >= leaseTtlMs) {
    throw new Fault('BAD_REQUEST', 'registered.heartbeat_ms must be above 0 and below lease_ttl_ms', { field: 'registered.heartbeat_ms' });
  }
  return {
    kind: 'registered',
    protocol: message.protocol,
    epoch: read(message.epoch, 'epoch'),
    leaseTtlMs,
    heartbeatMs,
    offerTtlMs: read(message.offerTtlMs, 'offer_ttl_ms'),
    logBytesMax: read(message.logBytesMax, 'log_bytes_max'),
    logWindowBytes: read(message.logWindowBytes, 'log_window_bytes'),
    held: message.held.flatMap(verdictFromProto),
    logs: message.logs.map(({ token, offset }) => ({ token, offset: read(offset, 'logs.offset') })),
    serverTime: read(message.serverTimeMs, 'server_time_ms'),
    dataAddress: message.dataAddress,
  };
}

const LEASE_VERDICTS = { CONTINUE: 'continue', CANCEL: 'cancel', LOST: 'lost' } as const satisfies Record<string, LeaseVerdict>;

/** A verdict that this agent does not know says nothing about the lease. */
function verdictFromProto({ token, verdict, grant }: LeaseVerdict__Output): readonly LeaseWord[] {
  if (verdict === 'VERDICT_UNSPECIFIED' || !Object.hasOwn(LEASE_VERDICTS, verdict)) return [];
  return [{ token, verdict: LEASE_VERDICTS[verdict], ...(grant === '' ? {} : { grant }) }];
}

function resultVerdictFromProto({ verdict }: FinishedReply__Output): ResultVerdict {
  switch (verdict) {
    case 'ACCEPTED':
      return 'accepted';
    case 'ALREADY_ACCEPTED':
      return 'already-accepted';
    case 'FENCED':
      return 'fenced';
    default:
      throw new Fault('BAD_REQUEST', 'finished_reply.verdict must be ACCEPTED, ALREADY_ACCEPTED or FENCED', {
        field: 'finished_reply.verdict',
      });
  }
}

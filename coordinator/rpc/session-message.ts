import { unreachable } from '../../base/assert.ts';
import { digestToProto, outputToProto, resourcesToProto, sandboxTraitToProto } from '../../proto/convert.ts';
import type { CoordinatorMessage } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import type { LeaseVerdict as LeaseVerdictMessage } from '../../proto/gen/switchyard/v1/LeaseVerdict.ts';
import type { Offer } from '../../proto/gen/switchyard/v1/Offer.ts';
import { buildOf, nameOf, type LeaseToken } from '../core/ids.ts';
import type { LeaseVerdict, ResultVerdict } from '../core/outcome.ts';
import type { FullOffer, LogAck, SessionMessage } from '../shell/sessions.ts';

/** What every `Registered` says beside the core's part. */
export type Terms = {
  readonly protocol: number;
  readonly logBytesMax: number;
  readonly logWindowBytes: number;
  readonly dataAddress: string;
  readonly serverTimeMs: number;
};

const LEASE_VERDICTS = { continue: 'CONTINUE', cancel: 'CANCEL', lost: 'LOST' } as const satisfies Record<LeaseVerdict, string>;
const RESULT_VERDICTS = {
  accepted: 'ACCEPTED',
  'already-accepted': 'ALREADY_ACCEPTED',
  fenced: 'FENCED',
} as const satisfies Record<ResultVerdict, string>;

/** Makes the grant for a lease; empty where there is none to give. */
export type GrantOf = (token: LeaseToken) => string;

/** A message to an agent. `terms` is asked for with `registered` only. */
export function sessionMessageToProto(message: SessionMessage, terms: () => Terms, grantOf: GrantOf): CoordinatorMessage {
  switch (message.kind) {
    case 'registered':
      return { registered: registered(message, terms(), grantOf), kind: 'registered' };
    case 'superseded':
      return { refused: { retry: false, reason: 'another agent has registered under the same id' }, kind: 'refused' };
    case 'offer':
      return { offer: offerToProto(message, grantOf), kind: 'offer' };
    case 'offer-withdrawn':
      return { withdrawn: { token: message.token }, kind: 'withdrawn' };
    case 'cancel':
      return { cancel: { token: message.token, reason: message.reason, graceMs: message.graceMs }, kind: 'cancel' };
    case 'heartbeat-reply':
      return { heartbeatReply: { leases: message.leases.map((lease) => verdictToProto(lease, grantOf)) }, kind: 'heartbeatReply' };
    case 'result-reply':
      return { finishedReply: { token: message.token, verdict: RESULT_VERDICTS[message.verdict] }, kind: 'finishedReply' };
    case 'drain':
      return { drain: { reason: message.reason }, kind: 'drain' };
    case 'log-ack':
      return { logAck: ackToProto(message), kind: 'logAck' };
    default:
      return unreachable(message);
  }
}

function registered(message: Extract<SessionMessage, { kind: 'registered' }>, terms: Terms, grantOf: GrantOf) {
  return {
    ...terms,
    epoch: message.epoch,
    leaseTtlMs: message.leaseTtlMs,
    heartbeatMs: message.heartbeatMs,
    offerTtlMs: message.offerTtlMs,
    held: message.held.map((lease) => verdictToProto(lease, grantOf)),
    logs: message.logs.map(ackToProto),
  };
}

type Lease = { readonly token: LeaseToken; readonly verdict: LeaseVerdict };

function verdictToProto({ token, verdict }: Lease, grantOf: GrantOf): LeaseVerdictMessage {
  return { token, verdict: LEASE_VERDICTS[verdict], ...(verdict === 'lost' ? {} : { grant: grantOf(token) }) };
}

function ackToProto(ack: LogAck) {
  return { token: ack.token, offset: ack.offset };
}

/** An offer as it is on the wire. */
export function offerToProto(offer: FullOffer, grantOf: GrantOf): Offer {
  const { spec } = offer;
  return {
    token: offer.token,
    buildId: buildOf(offer.step),
    step: nameOf(offer.step),
    attempt: offer.attempt,
    leaseTtlMs: offer.leaseTtlMs,
    command: [...spec.command],
    env: spec.env,
    passEnv: [...spec.passEnv],
    workingDirectory: spec.workingDirectory,
    inputRoot: digestToProto(offer.inputRoot),
    outputs: [...spec.outputs],
    resources: resourcesToProto(spec.resources),
    network: spec.network,
    sandbox: spec.sandbox.map(sandboxTraitToProto),
    sideEffects: spec.sideEffects,
    runTimeoutMs: spec.runTimeoutMs,
    graceMs: spec.graceMs,
    instanceName: offer.instanceName,
    grant: grantOf(offer.token),
    streamsApart: spec.given !== undefined,
    dependencies: offer.dependencies.map(({ paths, placed, only, keeps, ...rest }) => ({
      ...rest,
      paths: [...paths],
      placed: placed.map(outputToProto),
      only: [...only],
      keepModes: keeps.includes('modes'),
      keepMtimes: keeps.includes('mtimes'),
    })),
  };
}

import { callUnary, dial, type Link } from '../../proto/dial.ts';
import type { AuditRecord__Output } from '../../proto/gen/switchyard/v1/AuditRecord.ts';
import type { CreateEnrolmentRequest } from '../../proto/gen/switchyard/v1/CreateEnrolmentRequest.ts';
import type { Denial__Output } from '../../proto/gen/switchyard/v1/Denial.ts';
import type { Enrolment__Output } from '../../proto/gen/switchyard/v1/Enrolment.ts';
import type { IdentityClient } from '../../proto/gen/switchyard/v1/Identity.ts';
import type { ListAuditRequest } from '../../proto/gen/switchyard/v1/ListAuditRequest.ts';
import { loadProto } from '../../proto/load.ts';
import { failover, type OnMoved } from './failover.ts';

/** Longest wait for one answer. */
const DEADLINE_MS = 30_000;

/** The Identity service of a coordinator. Every method throws a Fault: PEER_UNAVAILABLE where the server cannot be reached. */
export interface IdentityServer extends Disposable {
  createEnrolment(
    wanted: CreateEnrolmentRequest,
    signal: AbortSignal,
  ): Promise<{ readonly token: string; readonly enrolment: Enrolment__Output }>;
  enrolments(signal: AbortSignal): Promise<readonly Enrolment__Output[]>;
  revokeEnrolment(id: string, signal: AbortSignal): Promise<void>;
  deny(subject: string, reason: string, ttlMs: number, signal: AbortSignal): Promise<void>;
  /** Whether it was refused before. */
  allow(subject: string, signal: AbortSignal): Promise<boolean>;
  denials(signal: AbortSignal): Promise<readonly Denial__Output[]>;
  audit(query: ListAuditRequest, signal: AbortSignal): Promise<{ readonly records: readonly AuditRecord__Output[]; readonly next: string }>;
}

/** A connection to a coordinator, or to one of several; it is made by the first call. */
export function connectIdentityServer(link: Link, onMoved: OnMoved): IdentityServer {
  const servers = failover<IdentityClient>({
    addresses: link.address.split(','),
    open: (address) => dial(loadProto().switchyard.v1.Identity, { ...link, address }, 'control'),
    close: (client) => client.close(),
    onMoved,
  });
  const options = (signal: AbortSignal) => ({ signal, deadlineMs: DEADLINE_MS });
  return {
    async createEnrolment(wanted, signal) {
      // Made twice, there is a token that nobody has seen, for some minutes.
      const { token, enrolment } = await servers.call((client) => callUnary(client, 'createEnrolment', wanted, options(signal)), signal);
      if (enrolment === null) throw new Error('the answer has an enrolment'); // of every coordinator
      return { token, enrolment };
    },
    enrolments: async (signal) =>
      (await servers.call((client) => callUnary(client, 'listEnrolments', {}, options(signal)), signal)).enrolments,
    async revokeEnrolment(id, signal) {
      await servers.call((client) => callUnary(client, 'revokeEnrolment', { id }, options(signal)), signal);
    },
    async deny(subject, reason, ttlMs, signal) {
      await servers.call((client) => callUnary(client, 'deny', { subject, reason, ttlMs }, options(signal)), signal);
    },
    allow: async (subject, signal) =>
      (await servers.call((client) => callUnary(client, 'allow', { subject }, options(signal)), signal)).wasDenied,
    denials: async (signal) => (await servers.call((client) => callUnary(client, 'listDenials', {}, options(signal)), signal)).denials,
    audit: (query, signal) => servers.call((client) => callUnary(client, 'listAudit', query, options(signal)), signal),
    [Symbol.dispose]: () => servers[Symbol.dispose](),
  };
}

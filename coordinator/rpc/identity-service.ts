import { createHash, type KeyObject } from 'node:crypto';
import type { AuditAct, AuditSink } from '../../base/audit.ts';
import { nameOf } from '../../base/auth.ts';
import { parseSubject } from '../../base/denials.ts';
import { looksLikeEnrolmentToken } from '../../base/enrolment-token.ts';
import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import type { AttestedAgent, TokenVerifier } from '../../base/oidc/verifier.ts';
import { readSigningRequest, type SigningRequest } from '../../base/signing-request.ts';
import { parseAgentUri, type AgentName } from '../../base/spiffe.ts';
import { atLeast } from '../../base/zone.ts';
import type { AuditRecord as AuditOnWire } from '../../proto/gen/switchyard/v1/AuditRecord.ts';
import type { AllowRequest__Output } from '../../proto/gen/switchyard/v1/AllowRequest.ts';
import type { CreateEnrolmentRequest__Output } from '../../proto/gen/switchyard/v1/CreateEnrolmentRequest.ts';
import type { CreateEnrolmentResponse } from '../../proto/gen/switchyard/v1/CreateEnrolmentResponse.ts';
import type { DenyRequest__Output } from '../../proto/gen/switchyard/v1/DenyRequest.ts';
import type { EnrolRequest__Output } from '../../proto/gen/switchyard/v1/EnrolRequest.ts';
import type { EnrolResponse } from '../../proto/gen/switchyard/v1/EnrolResponse.ts';
import type { Enrolment as EnrolmentOnWire } from '../../proto/gen/switchyard/v1/Enrolment.ts';
import type { GetAuthoritiesRequest__Output } from '../../proto/gen/switchyard/v1/GetAuthoritiesRequest.ts';
import type { GetAuthoritiesResponse } from '../../proto/gen/switchyard/v1/GetAuthoritiesResponse.ts';
import type { IdentityHandlers } from '../../proto/gen/switchyard/v1/Identity.ts';
import type { ListAuditRequest__Output } from '../../proto/gen/switchyard/v1/ListAuditRequest.ts';
import type { RenewCertificateRequest__Output } from '../../proto/gen/switchyard/v1/RenewCertificateRequest.ts';
import type { RevokeEnrolmentRequest__Output } from '../../proto/gen/switchyard/v1/RevokeEnrolmentRequest.ts';
import { unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { Audit } from '../identity/audit.ts';
import type { DenialBook } from '../identity/denial-book.ts';
import { zoneField, type Enrolments, type KnownEnrolment, type Membership } from '../identity/enrolments.ts';
import type { Issuer } from '../identity/issuer.ts';
import { callerOf } from './access.ts';
import { bad, textField, wholeField } from './fields.ts';

export type IdentityServiceOptions = {
  readonly issuer: Issuer;
  readonly enrolments: Enrolments;
  readonly denials: DenialBook;
  readonly audit: Audit;
  /** Takes tokens of platforms, by which agents enrol without a token of ours. @default none are taken */
  readonly verifier?: TokenVerifier | undefined;
  readonly env: Env;
};

const TOKEN_TTL_MS = 15 * 60_000;
const TOKEN_TTL_MS_MAX = 60 * 60_000;
const AGENT_ID = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** Longest token: those of platforms have some kilobytes. */
const TOKEN_MAX = 16_384;
const AUDIT_MAX = 1_000;

/** Agents' certificates, who is refused, and the record of what happened. Answers without a leader: the store is all coordinators'. */
export function identityService(options: IdentityServiceOptions): ServedService {
  const { env, issuer, enrolments, denials } = options;
  const handlers: IdentityHandlers = {
    GetAuthorities: unary<GetAuthoritiesRequest__Output, GetAuthoritiesResponse>(env, 'Identity.GetAuthorities', async () => ({
      authorities: issuer.authorities(),
    })),
    Enrol: unary<EnrolRequest__Output, EnrolResponse>(env, 'Identity.Enrol', (request, call) => enrol(options, request, call)),
    RenewCertificate: unary<RenewCertificateRequest__Output, EnrolResponse>(env, 'Identity.RenewCertificate', (request, call) =>
      renew(options, request, call),
    ),
    Identify: unary(env, 'Identity.Identify', async () => ({})),
    CreateEnrolment: unary<CreateEnrolmentRequest__Output, CreateEnrolmentResponse>(env, 'Identity.CreateEnrolment', (request, call) =>
      createEnrolment(options, request, call),
    ),
    ListEnrolments: unary(env, 'Identity.ListEnrolments', async () => ({ enrolments: (await enrolments.list()).map(enrolmentToProto) })),
    RevokeEnrolment: unary<RevokeEnrolmentRequest__Output, object>(env, 'Identity.RevokeEnrolment', async ({ id }, call) => {
      const { sha256 } = await enrolments.revoke(id, callerOf(call).name);
      noteAct(options.audit, call, 'token-revoke', sha256.slice(0, ID_LENGTH), 'enrolment token');
      return {};
    }),
    Deny: unary<DenyRequest__Output, object>(env, 'Identity.Deny', (request, call) => deny(options, request, call)),
    Allow: unary<AllowRequest__Output, object>(env, 'Identity.Allow', async (request, call) => {
      const subject = subjectField(request.subject);
      const wasDenied = await denials.allow(subject);
      noteAct(options.audit, call, 'allow', subject, wasDenied ? 'was revoked before' : 'was not revoked');
      return { wasDenied };
    }),
    ListDenials: unary(env, 'Identity.ListDenials', async () => ({
      denials: denials
        .list()
        .toSorted((a, b) => (a.subject < b.subject ? -1 : 1))
        .map(({ at, until = 0, ...rest }) => ({ ...rest, atMs: at, untilMs: until })),
    })),
    ListAudit: unary<ListAuditRequest__Output, object>(env, 'Identity.ListAudit', (request) => listAudit(options.audit, request)),
  };
  return { definition: loadProto().switchyard.v1.Identity.service, handlers };
}

async function enrol(options: IdentityServiceOptions, request: EnrolRequest__Output, call: Call): Promise<EnrolResponse> {
  const { audit } = options;
  const claimed = request.agentId.slice(0, 64);
  try {
    const wanted = signingRequestOf(request.signingRequest);
    const { agent, detail, shown } = await admittedAgent(options, request, wanted.publicKey, call);
    const answer = issue(options, agent, wanted, shown);
    audit.note({
      act: 'enrol',
      outcome: 'ok',
      actor: claimed,
      subject: answer.uri,
      detail: `${detail}, serial ${answer.serial}`,
      peer: call.peer,
    });
    return answer.response;
  } catch (error) {
    if (isRefusal(error))
      audit.note({ act: 'enrol', outcome: 'refused', actor: claimed, subject: claimed, detail: error.message, peer: call.peer });
    throw error;
  }
}

/** Who the agent is by the one credential that it brings. */
async function admittedAgent(
  { issuer, enrolments, verifier }: IdentityServiceOptions,
  { token, expiredCertificate, agentId }: EnrolRequest__Output,
  publicKey: KeyObject,
  { peer }: Call,
): Promise<{ readonly agent: AgentName; readonly detail: string; readonly shown: string }> {
  if ((token === '') === (expiredCertificate === '')) throw bad('token', 'or expired_certificate must be given, and not both');
  if (expiredCertificate !== '') {
    const former = issuer.former(expiredCertificate);
    if (!former.publicKey.equals(publicKey))
      throw new Fault('UNAUTHENTICATED', 'The request must be signed with the key of the certificate of before', {
        field: 'signing_request',
      });
    return { agent: former.agent, detail: `by the key of serial ${former.serial}`, shown: former.serial };
  }
  if (token.length > TOKEN_MAX) throw bad('token', `is longer than ${TOKEN_MAX} characters`);
  if (!AGENT_ID.test(agentId)) throw bad('agent_id', 'must be 1 to 63 characters of a-z, 0-9, "." and "-"');
  const nameIn = ({ zone, cluster, pool }: Membership): AgentName => ({ zone, cluster, pool, id: agentId });
  const uriOf = (membership: Membership) => issuer.uriOf(nameIn(membership));
  const key = keyHash(publicKey);
  if (!looksLikeEnrolmentToken(token)) {
    const attested = await attestedBy(verifier, token, agentId);
    await enrolments.spendAttested(attested.tokenId, attested.expiresAt, uriOf(attested), key);
    return { agent: nameIn(attested), detail: `as ${attested.subject}`, shown: '' };
  }
  const enrolment = await enrolments.spend(token, { agentId, key, host: hostOf(peer), uriOf });
  return { agent: nameIn(enrolment), detail: `by a token of ${enrolment.createdBy}`, shown: '' };
}

/** Whom a platform calls an agent, under a name that the platform gave it. @throws {Fault} UNAUTHENTICATED, FORBIDDEN */
async function attestedBy(verifier: TokenVerifier | undefined, token: string, agentId: string): Promise<AttestedAgent> {
  if (verifier === undefined || !token.startsWith('eyJ'))
    throw new Fault('UNAUTHENTICATED', 'The token is none by which agents enrol here', { field: 'token' });
  const attested = await verifier.agent(token);
  if (attested.names.length > 0 && !attested.names.includes(agentId)) {
    const known = attested.names.join(' or ');
    throw new Fault('FORBIDDEN', `The token is for ${known}, and not for ${agentId}`, {
      field: 'agent_id',
      hint: `Give the agent --id ${known}.`,
    });
  }
  return attested;
}

async function renew(options: IdentityServiceOptions, request: RenewCertificateRequest__Output, call: Call): Promise<EnrolResponse> {
  const wanted = signingRequestOf(request.signingRequest);
  const { identity } = call;
  const shown = identity.kind === 'agent' ? identity.certificate : undefined;
  const agent = parseAgentUri(shown?.uri ?? '');
  if (agent === undefined)
    throw new Fault('FORBIDDEN', 'Only an agent that shows a certificate is given the next one', {
      hint: 'Enrol first: "switchyard cluster join".',
    });
  const answer = issue(options, agent, wanted, shown?.serial ?? '');
  noteAct(options.audit, call, 'renew', answer.uri, `serial ${answer.serial}`);
  return answer.response;
}

/** Names come from the credential: a request that wants another one is refused. `serial`: of the certificate that was shown, if one was. */
function issue({ issuer, denials }: IdentityServiceOptions, agent: AgentName, wanted: SigningRequest, serial: string) {
  const uri = issuer.uriOf(agent);
  if (!wanted.wants(uri))
    throw new Fault('FORBIDDEN', `The request wants another name than the credential is for, which is ${uri}`, {
      field: 'signing_request',
    });
  const { cluster, pool, zone, id } = agent;
  const identity = { kind: 'agent', name: uri, cluster, pool, zone, id, certificate: { uri, serial, validTo: 0 } } as const;
  const refusal = denials.refusal(identity);
  if (refusal !== undefined) throw refusal;
  const issued = issuer.issue(agent, wanted.publicKey);
  return {
    uri,
    serial: issued.serial,
    response: { certificate: issued.certificate, authorities: issuer.authorities(), validMs: issued.validMs },
  };
}

async function createEnrolment(
  options: IdentityServiceOptions,
  request: CreateEnrolmentRequest__Output,
  call: Call,
): Promise<CreateEnrolmentResponse> {
  const caller = callerOf(call);
  const zone = zoneField(request.zone);
  if (!atLeast(caller.zoneCeiling, zone))
    throw new Fault('FORBIDDEN', `${caller.name} may reach zones up to ${caller.zoneCeiling}, and so let no agent into ${zone}`, {
      field: 'zone',
    });
  if (!options.issuer.zones.includes(zone)) {
    throw new Fault('WRONG_STATE', `This coordinator has no key of the zone ${zone}: no agent could enrol`, {
      hint: `Give it --zone-ca-key ${zone}=FILE.`,
    });
  }
  const [cluster, pool] = [nameField(request.cluster, 'cluster'), nameField(request.pool, 'pool')];
  const { agentId, from } = request;
  if (agentId !== '' && !AGENT_ID.test(agentId)) throw bad('agent_id', 'must be 1 to 63 characters of a-z, 0-9, "." and "-"');
  const ttlMs = wholeField(request.ttlMs, 'ttl_ms', 0, TOKEN_TTL_MS_MAX);
  const wanted = { zone, cluster, pool, ...(agentId === '' ? {} : { agentId }), ...(from === '' ? {} : { from }), createdBy: caller.name };
  const { token, known } = await options.enrolments.create(wanted, ttlMs === 0 ? TOKEN_TTL_MS : ttlMs);
  const what = `enrolment token of ${zone} ${cluster}/${pool} until ${new Date(known.enrolment.expiresAt).toISOString()}`;
  noteAct(options.audit, call, 'token-create', known.sha256.slice(0, ID_LENGTH), what);
  return { token: token.text, enrolment: enrolmentToProto(known) };
}

async function deny({ denials, audit, env }: IdentityServiceOptions, request: DenyRequest__Output, call: Call): Promise<object> {
  const subject = subjectField(request.subject);
  const reason = textField(request.reason, 'reason', 0, 1_024);
  const ttlMs = wholeField(request.ttlMs, 'ttl_ms', 0, Number.MAX_SAFE_INTEGER);
  const at = env.clock.now();
  await denials.deny({ subject, reason, by: callerOf(call).name, at, ...(ttlMs === 0 ? {} : { until: at + ttlMs }) });
  noteAct(audit, call, 'deny', subject, reason);
  return {};
}

async function listAudit(audit: Audit, request: ListAuditRequest__Output): Promise<object> {
  const given = (text: string) => (text === '' ? undefined : text);
  const limit = wholeField(String(request.limit), 'limit', 0, AUDIT_MAX);
  await audit.settled();
  const { records, next = '' } = await audit.list({
    act: given(request.act),
    outcome: given(request.outcome),
    who: given(request.who),
    since: wholeField(request.sinceMs, 'since_ms', 0, Number.MAX_SAFE_INTEGER),
    limit: limit === 0 ? 100 : limit,
    before: given(request.before),
  });
  return { records: records.map(({ at, ...rest }): AuditOnWire => ({ ...rest, atMs: at })), next };
}

function noteAct(audit: AuditSink, { identity, peer }: Call, act: AuditAct, subject: string, detail: string): void {
  audit.note({ act, outcome: 'ok', actor: nameOf(identity), subject, detail, peer });
}

function isRefusal(error: unknown): error is Fault {
  return isFault(error, 'UNAUTHENTICATED') || isFault(error, 'FORBIDDEN');
}

/** @throws {Fault} BAD_REQUEST */
function signingRequestOf(bytes: Uint8Array): SigningRequest {
  const wanted = readSigningRequest(bytes);
  if ('problem' in wanted) throw bad('signing_request', `cannot be used: ${wanted.problem}`);
  return wanted;
}

function subjectField(text: string): string {
  const subject = parseSubject(text);
  if (subject !== undefined) return subject;
  throw bad('subject', 'must be agent:ID, pool:CLUSTER/POOL, cluster:NAME, serial:HEX, token:NAME or the URI of a certificate');
}

function nameField(text: string, field: string): string {
  if (NAME.test(text)) return text;
  throw bad(field, 'must be 1 to 63 letters, digits, ".", "_" or "-"');
}

function keyHash(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

function hostOf(peer: string): string {
  return peer
    .slice(0, peer.lastIndexOf(':'))
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:/, '');
}

/** Digits of a token's hash by which people name it. */
const ID_LENGTH = 12;

function enrolmentToProto({ sha256, enrolment, spent }: KnownEnrolment): EnrolmentOnWire {
  const { agentId = '', from = '', createdAt, expiresAt, ...rest } = enrolment;
  return {
    ...rest,
    id: sha256.slice(0, ID_LENGTH),
    agentId,
    from,
    createdAtMs: createdAt,
    expiresAtMs: expiresAt,
    spentAtMs: spent?.at ?? 0,
    usedBy: spent?.kind === 'used' ? spent.by : '',
    revokedBy: spent?.kind === 'revoked' ? spent.by : '',
  };
}

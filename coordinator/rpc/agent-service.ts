import { assert } from '../../base/assert.ts';
import type { AuditSink } from '../../base/audit.ts';
import { nameOf } from '../../base/auth.ts';
import type { Denials } from '../../base/denials.ts';
import type { Env } from '../../base/env.ts';
import { Fault, isFault } from '../../base/fault.ts';
import { TRUSTED_LABELS } from '../../base/labels.ts';
import type { AgentBatch__Output } from '../../proto/gen/switchyard/v1/AgentBatch.ts';
import type { AgentMessage__Output } from '../../proto/gen/switchyard/v1/AgentMessage.ts';
import type { CoordinatorBatch } from '../../proto/gen/switchyard/v1/CoordinatorBatch.ts';
import { bidi, type Call } from '../../proto/handlers.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { AgentId, LeaseToken, SessionId } from '../core/ids.ts';
import type { Reply } from '../core/outcome.ts';
import type { Leader } from '../ledger/ledger.ts';
import type { RoleSource } from '../role/role.ts';
import type { LogLimits } from '../shell/logs.ts';
import type { Outbox } from '../shell/outbox.ts';
import type { EncodeOffer, LogAck, SessionMessage } from '../shell/sessions.ts';
import type { Shell } from '../shell/shell.ts';
import { bad, wholeField } from './fields.ts';
import { registrationFromProto, reportOf, tokenField, type AgentIdentity, type Registration } from './registration.ts';
import { sessionGrants, type GrantSource, type SessionGrants } from './session-grants.ts';
import { offerToProto, sessionMessageToProto } from './session-message.ts';
import { agentDefinition, batchOf, wireOf, type Outgoing } from './session-wire.ts';

export type AgentServiceOptions = {
  readonly role: RoleSource;
  readonly logLimits: LogLimits;
  /** Where agents find the data plane. */
  readonly dataAddress: () => string;
  /** What lets agents use the data plane. @default nothing: for data planes that ask for no grants */
  readonly grants?: GrantSource;
  /** Who is refused, also where its token does not say under which id it goes. @default nobody */
  readonly denials?: Denials;
  /** Takes note of registrations that are refused. @default nobody */
  readonly audit?: AuditSink;
  readonly env: Env;
  /** How long a new stream may take to say who it is. @default 15 s */
  readonly registerMs?: number;
};

/** What only the coordinator has that leads; agents work for no other. */
type Leading = AgentServiceOptions & Pick<Shell, 'driver' | 'sessions' | 'logs' | 'core'>;

const REGISTER_MS = 15_000;
/** Longest wait for somebody to lead, before an agent is sent to try again. */
const LEADER_MS = 2_000;
const HEARTBEAT_TOKENS_MAX = 10_000;
const CREDITS_MAX = 10_000;
const REASON_MAX = 1_024;

/**
 * The agents' side of the coordinator: one stream per agent, which lives as long as both. Log bytes go to the log store,
 * everything else to the driver; what the core says comes back through the session's outbox.
 */
export function agentService(options: AgentServiceOptions): ServedService {
  return {
    definition: agentDefinition(),
    handlers: {
      Session: bidi<AgentBatch__Output, Outgoing>(options.env, 'Agent.Session', (requests, call) => runSession(requests, call, options)),
    },
  };
}

async function* runSession(
  requests: AsyncIterable<AgentBatch__Output>,
  call: Call,
  options: AgentServiceOptions,
): AsyncGenerator<Outgoing> {
  const identity = agentIdentity(call);
  const role = await options.role.known(LEADER_MS, call.signal);
  if (role.kind === 'leading') yield* runLedSession(requests, call, identity, { ...options, ...role.shell });
  else yield elsewhere(role.leader, options.role.stopping.aborted);
}

async function* runLedSession(
  requests: AsyncIterable<AgentBatch__Output>,
  call: Call,
  identity: AgentIdentity,
  options: Leading,
): AsyncGenerator<Outgoing> {
  const source = requests[Symbol.asyncIterator]();
  const first = await firstBatch(source, options.registerMs ?? REGISTER_MS);
  let registration: Registration;
  let reply: Reply;
  let grants: SessionGrants | undefined;
  let outbox: Outbox<SessionMessage> | undefined;
  try {
    registration = registrationOf(first, identity, options);
    const revoked = options.denials?.refusal(identity, registration.facts.agent);
    if (revoked !== undefined) throw revoked;
    grants = grantsOf({ ...options, identity, registration });
    const logs = await logsOf(registration, options);
    refuseForeignId(registration, options); // and in the same turn the id is taken
    reply = await options.driver.submit({ kind: 'agent-registered', ...registration }, (early) => {
      if (early.kind === 'session') outbox = options.sessions.attach(early.session, logs, offerEncoder(grants));
    });
  } catch (error) {
    if (!isFault(error)) throw error;
    options.env.log.warn('agent-refused', {
      agent: first.messages[0]?.register?.agentId,
      credential: identity.name,
      reason: error.message,
    });
    noteRefused(first, identity, call, error, options);
    yield refusal(error);
    return;
  }
  if (reply.kind !== 'session' || outbox === undefined) {
    yield refusal(
      reply.kind === 'refused' ? new Fault(reply.code, reply.message) : new Fault('INTERNAL', 'The registration was not answered'),
    );
    return;
  }
  yield* serveSession(
    { ...options, identity, session: reply.session, agent: registration.facts.agent, registration, granted: grants, outbox },
    first,
    source,
    call,
  );
}

function noteRefused(first: AgentBatch__Output, identity: AgentIdentity, { peer }: Call, fault: Fault, { audit }: Leading): void {
  if (fault.code !== 'FORBIDDEN' && fault.code !== 'UNAUTHENTICATED') return;
  const subject = first.messages[0]?.register?.agentId ?? '';
  audit?.note({ act: 'register', outcome: 'refused', actor: nameOf(identity), subject, detail: fault.message, peer });
}

type Context = Leading & {
  readonly identity: AgentIdentity;
  readonly session: SessionId;
  readonly agent: AgentId;
  readonly registration: Registration;
  readonly granted: SessionGrants | undefined;
  readonly outbox: Outbox<SessionMessage>;
};

async function* serveSession(
  context: Context,
  first: AgentBatch__Output,
  source: AsyncIterator<AgentBatch__Output>,
  call: Call,
): AsyncGenerator<Outgoing> {
  const { driver, env, session, outbox, granted } = context;
  const log = env.log.with({ agent: context.agent, session });
  log.info('agent-connected', { held: context.registration.held.length });
  const terms = () => ({
    protocol: context.registration.protocol,
    logBytesMax: context.logLimits.attemptBytesMax,
    logWindowBytes: context.logLimits.windowBytes,
    dataAddress: context.dataAddress(),
    serverTimeMs: driver.now(),
  });
  const reading = readAll(context, first, source).then(
    () => outbox.close(),
    (error: unknown) => outbox.close(isFault(error) ? error : new Fault('INTERNAL', 'Reading the session failed', { cause: error })),
  );
  using _watch = context.denials?.onChange(() => {
    const revoked = context.denials?.refusal(context.identity, context.agent);
    if (revoked !== undefined) call.abort(revoked);
  });
  void outbox.cut.then((fault) => {
    log.warn('agent-cut-off', { reason: fault.message });
    call.abort(fault);
  });
  try {
    for await (const batch of outbox.batches(call.signal)) {
      const first = granted?.leaving(batch);
      if (first !== undefined) await first;
      yield batchOf(batch, (message) => sessionMessageToProto(message, terms, grantOf(granted)));
    }
  } finally {
    context.sessions.detach(session, outbox);
    driver.post({ kind: 'agent-disconnected', session });
    log.info('agent-disconnected');
    void reading; // ends with the call: its errors are handled above
  }
}

const grantOf = (granted: SessionGrants | undefined) => (token: LeaseToken) => granted?.of(token) ?? '';

/** Makes offers ready while their commit is under way: with the grant, that takes longer than sending them. */
function offerEncoder(granted: SessionGrants | undefined): EncodeOffer {
  return (offer) => wireOf({ kind: 'offer', offer: offerToProto(offer, grantOf(granted)) });
}

type Granting = Leading & { readonly identity: AgentIdentity; readonly registration: Registration };

/** The first version of the protocol whose agents show grants. */
const GRANTS_SINCE = 2;

function grantsOf({ grants: source, identity, registration, core, driver, env }: Granting): SessionGrants | undefined {
  if (source === undefined) return undefined;
  const shown = registration.protocol >= GRANTS_SINCE;
  return sessionGrants({ source, identity, shown, core, now: () => driver.now(), clock: env.clock });
}

async function readAll(context: Context, first: AgentBatch__Output, source: AsyncIterator<AgentBatch__Output>): Promise<void> {
  for (const message of first.messages.slice(1)) take(message, context);
  for (let next = await source.next(); next.done !== true; next = await source.next()) {
    for (const message of next.value.messages) take(message, context);
  }
}

/** One message of a registered agent. @throws {Fault} BAD_REQUEST: the stream ends with it. */
function take(message: AgentMessage__Output, context: Context): void {
  const { driver, session } = context;
  if (message.heartbeat) {
    const { tokens, credits, cordonReason } = message.heartbeat;
    if (tokens.length > HEARTBEAT_TOKENS_MAX)
      throw bad('heartbeat.tokens', `has ${tokens.length} entries, at most ${HEARTBEAT_TOKENS_MAX} are taken`);
    driver.post({
      kind: 'heartbeat-received',
      session,
      tokens: tokens.map((token, index) => tokenField(token, `heartbeat.tokens[${index}]`)),
      credits: wholeField(credits, 'heartbeat.credits', 0, CREDITS_MAX),
      ...(cordonReason === '' ? {} : { cordoned: cordonReason.slice(0, REASON_MAX) }),
    });
  } else if (message.log) {
    takeLog(
      tokenField(message.log.token, 'log.token'),
      wholeField(message.log.offset, 'log.offset', 0, Number.MAX_SAFE_INTEGER),
      message.log.data,
      context,
    );
  } else if (message.accept) {
    driver.post({ kind: 'offer-accepted', session, token: tokenField(message.accept.token, 'accept.token') });
  } else if (message.running) {
    driver.post({ kind: 'attempt-started', session, token: tokenField(message.running.token, 'running.token') });
  } else if (message.finished) {
    const token = tokenField(message.finished.token, 'finished.token');
    const report = reportOf(message.finished.report, context.agent, directoryOf(context.core, token));
    driver.post({ kind: 'attempt-finished', session, token, report });
  } else if (message.reject) {
    const reason = message.reject.reason.slice(0, REASON_MAX);
    driver.post({ kind: 'offer-rejected', session, token: tokenField(message.reject.token, 'reject.token'), reason });
  } else if (message.draining) {
    driver.post({ kind: 'agent-drained', session, reason: message.draining.reason.slice(0, REASON_MAX) });
  } else if (message.leaving) {
    driver.post({ kind: 'agent-left', session });
    context.outbox.close();
  } else {
    throw bad(
      'messages',
      message.register ? 'may hold one register only, as the first of a stream' : 'holds a message without a known kind',
    );
  }
}

function takeLog(token: LeaseToken, offset: number, bytes: Uint8Array, context: Context): void {
  const lease = context.core.lease(token);
  if (lease === undefined || lease.lease.agent !== context.agent) return; // not its lease (any more): a verdict says so
  context.logs.append(lease.build, token, offset, bytes).then(
    (durable) => {
      if (durable !== undefined) context.sessions.ackLog(context.session, { token, offset: durable });
    },
    (error: unknown) => context.outbox.close(isFault(error) ? error : new Fault('INTERNAL', 'Keeping the log failed', { cause: error })),
  );
}

function agentIdentity({ identity }: Call): AgentIdentity {
  assert(identity.kind === 'agent', 'a session is permitted to agents only');
  return identity;
}

async function firstBatch(source: AsyncIterator<AgentBatch__Output>, withinMs: number): Promise<AgentBatch__Output> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Fault('DEADLINE', `No register came within ${withinMs} ms`)), withinMs);
  try {
    for (;;) {
      const next = await Promise.race([source.next(), late]);
      if (next.done === true) throw new Fault('BAD_REQUEST', 'The stream ended before its first message', { field: 'messages' });
      if (next.value.messages.length > 0) return next.value;
    }
  } finally {
    clearTimeout(timer);
  }
}

function registrationOf(first: AgentBatch__Output, identity: AgentIdentity, { core }: Leading): Registration {
  const register = first.messages[0]?.register;
  if (register === null || register === undefined) throw bad('messages[0]', 'must be register');
  return registrationFromProto(register, identity, (token) => directoryOf(core, token));
}

function directoryOf(core: Leading['core'], token: LeaseToken): string {
  const lease = core.lease(token);
  return (lease && core.step(lease.step)?.spec.workingDirectory) ?? '';
}

/**
 * Leases belong to an agent's id, which everybody with an agent's credential may choose. So the id of an agent with other
 * labels of trust cannot be taken while that one is connected or may come back to its leases: its results would be forged.
 */
function refuseForeignId({ facts }: Registration, { core }: Leading): void {
  const known = core.agent(facts.agent);
  if (known === undefined || TRUSTED_LABELS.every((key) => known.facts.labels[key] === facts.labels[key])) return;
  if (!known.connected && known.running.length === 0) return;
  const message = `An agent ${facts.agent} of another cluster, pool or zone is connected or has steps: take another id`;
  throw new Fault('FORBIDDEN', message, { field: 'register.agent_id', ...(known.connected ? {} : { retryAfterMs: 1_000 }) });
}

/** From where the logs of the leases that the agent brings are wanted. */
async function logsOf(registration: Registration, options: Leading): Promise<readonly LogAck[]> {
  const acks: LogAck[] = [];
  for (const { token } of registration.held) {
    const lease = options.core.lease(token);
    if (lease === undefined || lease.lease.agent !== registration.facts.agent) continue;
    acks.push({ token, offset: await options.logs.offsetOf(lease.build, token) });
  }
  return acks;
}

/** Where an agent finds the coordinator that leads, or that it should try again. */
function elsewhere(leader: Leader | undefined, isStopping: boolean): CoordinatorBatch {
  const reason = isStopping
    ? 'This coordinator is stopping'
    : leader === undefined
      ? 'No coordinator leads at the moment'
      : `The coordinator at ${leader.address} leads`;
  return { messages: [{ refused: { retry: true, reason, leaderAddress: leader?.address ?? '' }, kind: 'refused' }] };
}

/** The answer that ends a session before it began. */
function refusal(fault: Fault): CoordinatorBatch {
  const isPassing = fault.code === 'LEDGER_UNAVAILABLE' || fault.code === 'DRAINING' || fault.code === 'LIMIT_EXCEEDED';
  const retry = isPassing || fault.retryAfterMs !== undefined;
  return { messages: [{ refused: { retry, reason: fault.message }, kind: 'refused' }] };
}

import { parseDurationMs, QUANTITY_FORMS } from '../../base/quantity.ts';
import type { Enrolment__Output } from '../../proto/gen/switchyard/v1/Enrolment.ts';
import { EXIT, UsageError } from '../exit.ts';
import { locateServer } from '../locate.ts';
import type { IdentityServer } from '../rpc/identity-client.ts';
import { onMoved, printJson, printLines, say, type Session } from '../session.ts';
import { columns, printable } from '../view/format.ts';

export type JoinOptions = {
  readonly zone: string;
  readonly pool: string;
  readonly agent?: string;
  readonly from?: string;
  readonly expires: string;
  readonly count: number;
};

/** Makes tokens for agents of a cluster, and says how an agent is started with one. They are shown this once and kept nowhere. */
export async function joinCommand(session: Session, cluster: string, options: JoinOptions): Promise<number> {
  const { zone, pool, agent: agentId = '', from = '', count } = options;
  const wanted = { zone, cluster, pool, agentId, from, ttlMs: durationOf(options.expires, '--expires') };
  if (agentId !== '' && count > 1) throw new UsageError('--agent goes without --count', 'An agent needs one token.');
  using server = await openIdentityServer(session);
  const made = [];
  for (let left = count; left > 0; left -= 1) made.push(await server.createEnrolment(wanted, session.signal));
  if (session.json) {
    printJson(
      session,
      made.map(({ token, enrolment }) => ({ token, ...enrolmentJson(enrolment) })),
    );
    return EXIT.ok;
  }
  const until = new Date(Number(made[0]?.enrolment.expiresAtMs)).toISOString();
  say(
    session,
    `For ${count === 1 ? 'one agent' : `${count} agents, a token for each,`} of ${cluster}/${pool} in the zone ${zone}, until ${until}:`,
  );
  const id = agentId === '' ? '' : ` --id ${agentId}`;
  const { address } = session.reached.link ?? {};
  printLines(
    session,
    made.map(({ token }) => `switchyard agent --coordinator ${address}${id} --enroll ${token}`),
  );
  return EXIT.ok;
}

/** Lists tokens of agents that are still to come, and what became of the others. */
export async function listEnrolmentsCommand(session: Session): Promise<number> {
  using server = await openIdentityServer(session);
  const enrolments = await server.enrolments(session.signal);
  const now = session.terminal.clock.now();
  if (session.json) printJson(session, enrolments.map(enrolmentJson));
  else if (enrolments.length === 0) say(session, 'No enrolment tokens.');
  else {
    const [head = '', ...rows] = columns([
      ['ID', 'FOR', 'ZONE', 'BY', 'STATE'],
      ...enrolments.map((one) => [
        one.id,
        `${one.cluster}/${one.pool}${one.agentId === '' ? '' : `/${one.agentId}`}`,
        one.zone,
        printable(one.createdBy),
        stateOf(one, now),
      ]),
    ]);
    printLines(session, [session.style.bold(head), ...rows.map((row) => row.trimEnd())]);
  }
  return EXIT.ok;
}

/** Makes a token worthless that nobody has used. */
export async function revokeEnrolmentCommand(session: Session, id: string): Promise<number> {
  using server = await openIdentityServer(session);
  await server.revokeEnrolment(id, session.signal);
  if (session.json) printJson(session, { id, revoked: true });
  else say(session, `The enrolment token ${id} is worth nothing now.`);
  return EXIT.ok;
}

export type RevokeOptions = { readonly reason: string; readonly for?: string };

/** Refuses an identity from now on. */
export async function revokeCommand(session: Session, subject: string, options: RevokeOptions): Promise<number> {
  const ttlMs = options.for === undefined ? 0 : durationOf(options.for, '--for');
  using server = await openIdentityServer(session);
  await server.deny(subject, options.reason, ttlMs, session.signal);
  if (session.json) printJson(session, { subject, revoked: true });
  else say(session, `${subject} is revoked: coordinators and data planes refuse it within seconds, and end what it has open.`);
  return EXIT.ok;
}

/** Refuses it no longer. */
export async function allowCommand(session: Session, subject: string): Promise<number> {
  using server = await openIdentityServer(session);
  const wasDenied = await server.allow(subject, session.signal);
  if (session.json) printJson(session, { subject, wasRevoked: wasDenied });
  else say(session, wasDenied ? `${subject} is allowed again.` : `${subject} was not revoked.`);
  return EXIT.ok;
}

/** Lists who is refused. */
export async function listRevokedCommand(session: Session): Promise<number> {
  using server = await openIdentityServer(session);
  const denials = await server.denials(session.signal);
  const shown = denials.map(({ subject, reason, by, atMs, untilMs }) => {
    return { subject, at: timeOf(atMs), until: Number(untilMs) === 0 ? undefined : timeOf(untilMs), by, reason };
  });
  if (session.json) printJson(session, shown);
  else if (shown.length === 0) say(session, 'Nobody is revoked.');
  else {
    const [head = '', ...rows] = columns([
      ['WHO', 'SINCE', 'UNTIL', 'BY', 'REASON'],
      ...shown.map(({ subject, at, until = 'allowed', by, reason }) => [printable(subject), at, until, printable(by), printable(reason)]),
    ]);
    printLines(session, [session.style.bold(head), ...rows.map((row) => row.trimEnd())]);
  }
  return EXIT.ok;
}

export type AuditOptions = {
  readonly act?: string;
  readonly refused?: boolean;
  readonly who?: string;
  readonly since?: string;
  readonly limit: number;
};

/** Lists what happened, newest first. */
export async function auditCommand(session: Session, options: AuditOptions): Promise<number> {
  const sinceMs = options.since === undefined ? 0 : session.terminal.clock.now() - durationOf(options.since, '--since');
  const filter = { act: options.act ?? '', outcome: options.refused === true ? 'refused' : '', who: options.who ?? '', sinceMs };
  using server = await openIdentityServer(session);
  const records = [];
  for (let before = ''; records.length < options.limit;) {
    const limit = Math.min(PAGE_RECORDS, options.limit - records.length);
    const page = await server.audit({ ...filter, limit, before }, session.signal);
    records.push(...page.records);
    before = page.next;
    if (before === '') break;
  }
  const shown = records.map(({ atMs, act, outcome, actor, subject, peer, detail, count, source }) => {
    return { at: timeOf(atMs), act, outcome, actor, subject, peer, detail, count: Number(count), source };
  });
  if (session.json) printJson(session, shown);
  else if (shown.length === 0) say(session, 'Nothing like that is recorded.');
  else {
    const [head = '', ...rows] = columns([
      ['AT', 'ACT', 'OUTCOME', 'BY', 'ABOUT', 'FROM', 'WHAT'],
      ...shown.map(({ at, act, outcome, actor, subject, peer, detail, count }) => {
        const times = count > 1 ? ` (${count} times)` : '';
        return [at, act, outcome, printable(actor), printable(subject), peer, `${printable(detail)}${times}`];
      }),
    ]);
    printLines(session, [session.style.bold(head), ...rows.map((row) => row.trimEnd())]);
  }
  return EXIT.ok;
}

/** Most records of one answer. */
const PAGE_RECORDS = 500;

async function openIdentityServer(session: Session): Promise<IdentityServer> {
  const { connectIdentityServer } = await import('../rpc/identity-client.ts');
  const located = locateServer(session.options, session.terminal);
  session.reached.link = located.link;
  return connectIdentityServer(located.link, onMoved(session));
}

function enrolmentJson({ createdAtMs, expiresAtMs, spentAtMs, ...rest }: Enrolment__Output): object {
  const spent = Number(spentAtMs) === 0 ? undefined : timeOf(spentAtMs);
  return { ...rest, createdAt: timeOf(createdAtMs), expiresAt: timeOf(expiresAtMs), spentAt: spent };
}

function stateOf({ usedBy, revokedBy, spentAtMs, expiresAtMs }: Enrolment__Output, now: number): string {
  if (usedBy !== '') return `used by ${usedBy} at ${timeOf(spentAtMs)}`;
  if (revokedBy !== '') return `revoked by ${printable(revokedBy)} at ${timeOf(spentAtMs)}`;
  return `${Number(expiresAtMs) <= now ? 'expired' : 'open until'} ${timeOf(expiresAtMs)}`;
}

function timeOf(ms: string | number): string {
  return new Date(Number(ms)).toISOString();
}

function durationOf(text: string, flag: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new UsageError(`${flag} "${text}" is no duration`, `Write ${QUANTITY_FORMS.duration}.`);
}

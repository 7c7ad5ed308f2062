import { BlockList, isIP } from 'node:net';
import type { TimeMs } from '../../base/clock.ts';
import { newEnrolmentToken, parseEnrolmentToken, type EnrolmentToken } from '../../base/enrolment-token.ts';
import { Fault } from '../../base/fault.ts';
import { ZONES, type Zone } from '../../base/zone.ts';
import type { IdentityStore } from './store.ts';

/** What an agent becomes that enrols. */
export type Membership = { readonly zone: Zone; readonly cluster: string; readonly pool: string };

/** What is kept of a token. */
export type Enrolment = Membership & {
  /** The only id under which it can be used. @default any */
  readonly agentId?: string;
  /** Address or range (CIDR) from which it can be used. @default any */
  readonly from?: string;
  readonly createdBy: string;
  readonly createdAt: TimeMs;
  readonly expiresAt: TimeMs;
};

/** What became of a token: whichever of the two comes first stays. */
export type Spent =
  /** `key` is the hash of the public key that it was used for: who asks again for that one has lost the answer. */
  | { readonly kind: 'used'; readonly by: string; readonly key: string; readonly at: TimeMs }
  | { readonly kind: 'revoked'; readonly by: string; readonly at: TimeMs };

export type KnownEnrolment = { readonly sha256: string; readonly enrolment: Enrolment; readonly spent: Spent | undefined };

export type EnrolmentUse = {
  readonly agentId: string;
  /** The URI that the agent of that membership has. */
  readonly uriOf: (membership: Membership) => string;
  /** Of the public key, hex. */
  readonly key: string;
  /** From where it is used, an address. */
  readonly host: string;
};

/** Tokens by which agents enrol, each once. */
export interface Enrolments {
  create(
    wanted: Omit<Enrolment, 'createdAt' | 'expiresAt'>,
    ttlMs: number,
  ): Promise<{ readonly token: EnrolmentToken; readonly known: KnownEnrolment }>;
  /** Uses the token up. @throws {Fault} UNAUTHENTICATED where it is unknown, used, revoked or expired; FORBIDDEN where it is for others */
  spend(text: string, use: EnrolmentUse): Promise<Enrolment>;
  /**
   * Uses up a token of a platform, which was verified. @throws {Fault} UNAUTHENTICATED where it was used before, for another key
   */
  spendAttested(tokenId: string, expiresAt: TimeMs, by: string, key: string): Promise<void>;
  /** Newest first. */
  list(): Promise<readonly KnownEnrolment[]>;
  /** @throws {Fault} BAD_REQUEST where the beginning fits none or several; WRONG_STATE where it was used */
  revoke(beginning: string, by: string): Promise<KnownEnrolment>;
}

/** Most tokens that are kept, used ones too: somebody who makes more of them has a fault in a loop. */
const KEPT_MAX = 10_000;
/** For so long after its end it is still said what became of a token. */
const KEPT_MS = 7 * 86_400_000;

/** `pin` names the authority by which coordinators are known at the time. */
export function openEnrolments(store: IdentityStore, now: () => TimeMs, pin: () => string | undefined): Enrolments {
  const known = async (sha256: string, body: string): Promise<KnownEnrolment> => {
    const spent = await store.get('spent', sha256);
    return { sha256, enrolment: JSON.parse(body) as Enrolment, spent: spent === undefined ? undefined : (JSON.parse(spent) as Spent) };
  };
  const list = async (): Promise<readonly KnownEnrolment[]> => {
    const [all, spent] = await Promise.all([store.all('enrolments'), store.all('spent')]);
    return [...all]
      .map(([sha256, body]) => {
        const over = spent.get(sha256);
        return { sha256, enrolment: JSON.parse(body) as Enrolment, spent: over === undefined ? undefined : (JSON.parse(over) as Spent) };
      })
      .toSorted((a, b) => b.enrolment.createdAt - a.enrolment.createdAt);
  };
  return {
    async create(wanted, ttlMs) {
      if (wanted.from !== undefined) rangeOf(wanted.from);
      const before = await list();
      const stale = before.filter(({ enrolment }) => enrolment.expiresAt + KEPT_MS < now());
      if (before.length - stale.length >= KEPT_MAX)
        throw new Fault('LIMIT_EXCEEDED', `There are ${KEPT_MAX} enrolment tokens of this week: no more are made`);
      for (const { sha256 } of stale) {
        await store.remove('enrolments', sha256); // from then on the token is unknown, whatever is known of its use
        await store.remove('spent', sha256);
      }
      const token = newEnrolmentToken(pin());
      const enrolment = { ...wanted, createdAt: now(), expiresAt: now() + ttlMs };
      await store.put('enrolments', token.sha256, JSON.stringify(enrolment));
      return { token, known: { sha256: token.sha256, enrolment, spent: undefined } };
    },
    async spend(text, use) {
      const token = parseEnrolmentToken(text);
      const body = token === undefined ? undefined : await store.get('enrolments', token.sha256);
      if (token === undefined || body === undefined) throw unknownToken();
      const { enrolment, spent } = await known(token.sha256, body);
      refuseOthers(enrolment, use);
      const uri = use.uriOf(enrolment);
      const own: Spent = { kind: 'used', by: uri, key: use.key, at: now() };
      if (spent === undefined) {
        if (now() >= enrolment.expiresAt) throw tokenOver(`expired at ${new Date(enrolment.expiresAt).toISOString()}`);
        if (await store.add('spent', token.sha256, JSON.stringify(own))) return enrolment;
      }
      const first = spent ?? (await known(token.sha256, body)).spent;
      // The same key at the same id: the agent did not get the answer. It gets nothing that it has not got already.
      if (first?.kind === 'used' && first.key === own.key && first.by === own.by && now() < enrolment.expiresAt) return enrolment;
      if (first?.kind === 'revoked') throw tokenOver(`was revoked by ${first.by}`);
      throw tokenOver(`was used before, by ${first?.by ?? 'another agent'}`);
    },
    spendAttested: (tokenId, expiresAt, by, key) => spendAttested(store, now(), { tokenId, expiresAt, by, key }),
    list,
    async revoke(beginning, by) {
      const found = /^[0-9a-f]{8,64}$/.test(beginning) ? (await list()).filter(({ sha256 }) => sha256.startsWith(beginning)) : [];
      const [one, other] = found;
      if (one === undefined || other !== undefined) {
        const what = one === undefined ? 'no enrolment token' : 'several enrolment tokens';
        throw new Fault('BAD_REQUEST', `"${beginning.slice(0, 64)}" is the beginning of ${what}`, {
          field: 'id',
          hint: '"switchyard cluster token list" shows them.',
        });
      }
      const spent: Spent = { kind: 'revoked', by, at: now() };
      if (await store.add('spent', one.sha256, JSON.stringify(spent))) return { ...one, spent };
      const first = (await known(one.sha256, JSON.stringify(one.enrolment))).spent;
      if (first?.kind !== 'used') return { ...one, spent: first };
      throw new Fault('WRONG_STATE', `The token was used by ${first.by}`, { hint: 'Revoke that agent with "switchyard agent revoke".' });
    },
  };
}

type AttestedUse = { readonly tokenId: string; readonly expiresAt: TimeMs; readonly by: string; readonly key: string };

/** What marks such tokens in the table of those that are used up. */
const ATTESTED = 'attested:';
/** Marks of tokens that are over are taken out once there are so many: a mark is worth nothing after the end of its token. */
const MARKS_MAX = 1_000;

async function spendAttested(store: IdentityStore, now: TimeMs, { tokenId, expiresAt, by, key }: AttestedUse): Promise<void> {
  const mark = `${ATTESTED}${tokenId}`;
  const own = { kind: 'used', by, key, at: now, expiresAt } as const;
  if (!(await store.add('spent', mark, JSON.stringify(own)))) {
    const first = JSON.parse((await store.get('spent', mark)) ?? '{}') as Partial<typeof own>; // as it is kept here
    if (first.key !== key || first.by !== by)
      throw new Fault(
        'UNAUTHENTICATED',
        `The token was used before, by ${first.by ?? 'another agent'}: the platform gives another in time`,
      );
    return;
  }
  const marks = [...(await store.all('spent'))].filter(([name]) => name.startsWith(ATTESTED));
  if (marks.length < MARKS_MAX) return;
  for (const [name, body] of marks) if ((JSON.parse(body) as typeof own).expiresAt + GRACE_MS < now) await store.remove('spent', name);
}

/** Longer than the clocks of two hosts are apart. */
const GRACE_MS = 10 * 60_000;

function unknownToken(): Fault {
  const hint = 'Check that it is whole and was made for this yard; "switchyard cluster join" makes another.';
  return new Fault('UNAUTHENTICATED', 'The enrolment token is not known here', { hint });
}

function tokenOver(what: string): Fault {
  return new Fault('UNAUTHENTICATED', `The enrolment token ${what}`, { hint: '"switchyard cluster join" makes another.' });
}

function refuseOthers({ agentId, from }: Enrolment, use: EnrolmentUse): void {
  if (agentId !== undefined && agentId !== use.agentId)
    throw new Fault('FORBIDDEN', `The enrolment token is for the agent ${agentId}, and not for ${use.agentId}`, { field: 'agent_id' });
  if (from !== undefined && !rangeOf(from).check(use.host, isIP(use.host) === 6 ? 'ipv6' : 'ipv4'))
    throw new Fault('FORBIDDEN', `The enrolment token is for agents at ${from}, and this one is at ${use.host}`);
}

/** @throws {Fault} BAD_REQUEST */
function rangeOf(text: string): BlockList {
  const [address = '', bits, more] = text.split('/');
  const family = isIP(address);
  const width = family === 4 ? 32 : 128;
  const prefix = bits === undefined ? width : Number(bits);
  if (family === 0 || more !== undefined || (bits !== undefined && !/^\d{1,3}$/.test(bits)) || prefix > width)
    throw new Fault('BAD_REQUEST', `from must be an address or a range such as 10.0.0.0/8, but is "${text.slice(0, 64)}"`, {
      field: 'from',
    });
  const range = new BlockList();
  range.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  return range;
}

/** @throws {Fault} BAD_REQUEST */
export function zoneField(text: string): Zone {
  const zone = ZONES.find((known) => known === text);
  if (zone !== undefined) return zone;
  throw new Fault('BAD_REQUEST', `zone must be one of ${ZONES.join(', ')}, but is "${text.slice(0, 64)}"`, { field: 'zone' });
}

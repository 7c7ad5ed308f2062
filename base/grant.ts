import { createHash, createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import { isProject, isScope } from './caller.ts';
import type { TimeMs } from './clock.ts';
import type { Keyring } from './signing.ts';
import { parseZone, type Zone } from './zone.ts';

/**
 * The right to use the data plane for one attempt, for as long as its lease is renewed: what an agent shows beside its credential,
 * which alone opens nothing there.
 */
export type Grant = {
  readonly project: string;
  /** Scopes that may be read, nearest first. */
  readonly reads: readonly string[];
  /** The scope that may be written, among `reads`. */
  readonly writes: string;
  /** Name of the credential that it is for, and the zone of agents with that one: nobody else can use it. */
  readonly agent: string;
  readonly zone: Zone;
  /** The attempt's lease. */
  readonly token: string;
  /** Who makes what is stored with it: the id of the build. */
  readonly producer: string;
  /** Wall-clock time of who issued it. No later than the lease's own end. */
  readonly expiresAt: TimeMs;
};

/** The metadata key under which a grant is shown. */
export const GRANT_METADATA = 'switchyard-grant';

/** How long a grant is taken after its end: for clocks of other hosts, and for calls on their way. */
export const GRANT_SKEW_MS = 5_000;

/** What a text that should be a grant is. `expired` and `good` are signed by us. */
export type GrantVerdict = { readonly kind: 'good' | 'expired'; readonly grant: Grant } | { readonly kind: 'bad' };

/** Signs grants and verifies them. Whoever verifies could sign too: only coordinators and data planes have the key. */
export interface GrantKey {
  seal(grant: Grant): string;
  /** Takes the same time for every wrong signature. */
  open(text: string, now: TimeMs): GrantVerdict;
}

const FORM = 'sy1';
const TEXT = /^sy1\.([A-Za-z0-9_-]{1,8192})\.([A-Za-z0-9_-]{43})$/;

/**
 * The key for grants that belongs to a yard's signing keys: derived from what only their private key can make, so that whoever
 * shares those shares this, and there is no second secret to keep. HMAC-SHA256: a grant is made for every offer and every renewal.
 * Grants by the other private keys of the file are taken, too: while one is being exchanged, what was given out holds until its end.
 */
export function grantKeyFrom(keyring: Keyring): GrantKey {
  // Ed25519 signatures are the same each time, and nobody without the private key can make or guess one.
  // As an object: bytes are made one for each signature, which takes longer than the signature itself.
  const keyOf = (signature: Uint8Array) => createSecretKey(createHash('sha256').update(signature).digest());
  const [purpose, bytes] = ['key for grants', Buffer.from(FORM)] as const;
  const own = keyOf(keyring.sign(purpose, bytes));
  const all = keyring.signAll(purpose, bytes).map(keyOf);
  const macOf = (body: string, key: KeyObject) => createHmac('sha256', key).update(`${FORM}.${body}`).digest();
  return {
    seal(grant) {
      const body = Buffer.from(JSON.stringify(grant)).toString('base64url');
      return `${FORM}.${body}.${macOf(body, own).toString('base64url')}`;
    },
    open(text, now) {
      const [, body, mac] = TEXT.exec(text) ?? [];
      if (body === undefined || mac === undefined) return { kind: 'bad' };
      const shown = Buffer.from(mac, 'base64url');
      // All are compared, whichever fits.
      const macs = all.map((key) => macOf(body, key));
      const fits = macs.filter((wanted) => shown.byteLength === wanted.byteLength && timingSafeEqual(shown, wanted));
      if (fits.length === 0) return { kind: 'bad' };
      const grant = parseGrant(Buffer.from(body, 'base64url').toString());
      if (grant === undefined) return { kind: 'bad' };
      return { kind: now < grant.expiresAt + GRANT_SKEW_MS ? 'good' : 'expired', grant };
    },
  };
}

/** What we sealed has this shape; a newer version may seal another. */
function parseGrant(text: string): Grant | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(json));
  const word = (key: string): string => {
    const value = fields.get(key);
    return typeof value === 'string' ? value : '';
  };
  const [project, writes, agent, token, producer] = ['project', 'writes', 'agent', 'token', 'producer'].map(word) as Words;
  const zone = parseZone(word('zone'));
  const expiresAt = fields.get('expiresAt');
  const listed = fields.get('reads');
  const reads = Array.isArray(listed) ? listed.filter((scope): scope is string => typeof scope === 'string' && isScope(scope)) : [];
  const whole = isProject(project) && reads.includes(writes) && agent !== '' && token !== '' && zone !== undefined;
  if (!whole || typeof expiresAt !== 'number' || !Number.isSafeInteger(expiresAt)) return undefined;
  return { project, reads, writes, agent, zone, token, producer, expiresAt };
}

/** As many as were asked for. */
type Words = [string, string, string, string, string];

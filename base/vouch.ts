import type { Identity } from './auth.ts';
import { isOpenScope, isProject, ROLES } from './caller.ts';
import type { TimeMs } from './clock.ts';
import type { Keyring } from './signing.ts';
import { parseZone } from './zone.ts';

/** Who is known by a certificate, which a call that is handed on cannot show: autoscalers, and callers with certificates. */
export type VouchedIdentity = Extract<Identity, { kind: 'scaler' | 'caller' }>;

/**
 * The word of one process of the yard to a coordinator for whom it has seen: `authorization: Vouched <text>`. Only processes with the
 * yard's signing key can give it.
 */
export interface Vouching {
  seal(identity: VouchedIdentity, expiresAt: TimeMs): string;
  /** Undefined for what nobody here signed, or what has expired. */
  open(text: string, now: TimeMs): VouchedIdentity | undefined;
}

const PURPOSE = 'vouch';
const TEXT = /^([A-Za-z0-9_-]{1,1536})\.([0-9a-f]{16})\.([A-Za-z0-9_-]{86})$/;
/** Counts for so long: a call that is handed on arrives at once, give or take what clocks are apart. */
const WORD_MS = 30_000;

/** The value of `authorization` for a call of somebody who showed a certificate; undefined for all others. */
export function wordFor(identity: Identity, vouching: Vouching, now: TimeMs): string | undefined {
  const isShown = identity.kind === 'scaler' || (identity.kind === 'caller' && identity.certificate !== undefined);
  return isShown ? `Vouched ${vouching.seal(identity, now + WORD_MS)}` : undefined;
}

export function vouchingBy(keyring: Keyring): Vouching {
  return {
    seal(identity, expiresAt) {
      const said = identity.kind === 'scaler' ? { name: identity.name, cluster: identity.cluster } : identity;
      const body = Buffer.from(JSON.stringify({ ...said, expiresAt }));
      const { keyId } = keyring;
      return `${body.toString('base64url')}.${keyId}.${Buffer.from(keyring.sign(PURPOSE, body)).toString('base64url')}`;
    },
    open(text, now) {
      const [, body = '', keyId = '', signature = ''] = TEXT.exec(text) ?? [];
      const bytes = Buffer.from(body, 'base64url');
      if (body === '' || keyring.verify(PURPOSE, keyId, bytes, Buffer.from(signature, 'base64url')) !== 'good') return undefined;
      // A process of the yard wrote it, of this version or another one.
      const said = JSON.parse(bytes.toString()) as Readonly<Record<string, unknown>>;
      const { expiresAt } = said;
      if (typeof expiresAt !== 'number' || now >= expiresAt) return undefined;
      return said['kind'] === 'caller' ? callerIn(said) : scalerIn(said);
    },
  };
}

function scalerIn({ name, cluster }: Readonly<Record<string, unknown>>): VouchedIdentity | undefined {
  return typeof name === 'string' && typeof cluster === 'string' ? { kind: 'scaler', name, cluster } : undefined;
}

function callerIn(said: Readonly<Record<string, unknown>>): VouchedIdentity | undefined {
  const [caller, certificate] = [fieldsOf(said['caller']), fieldsOf(said['certificate'])];
  const { name, project, scope } = caller;
  const role = ROLES.find((known) => known === caller['role']);
  const zoneCeiling = parseZone(String(caller['zoneCeiling']));
  const { serial, uri } = certificate;
  if (typeof name !== 'string' || typeof project !== 'string' || typeof scope !== 'string' || typeof serial !== 'string') return undefined;
  if (role === undefined || zoneCeiling === undefined || !isProject(project) || !isOpenScope(scope)) return undefined;
  const shown = { serial, ...(typeof uri === 'string' ? { uri } : {}) };
  return { kind: 'caller', caller: { name, role, project, scope, zoneCeiling }, certificate: shown };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

import type { Identity } from './auth.ts';
import type { TimeMs } from './clock.ts';
import type { Keyring } from './signing.ts';

/** An autoscaler, which shows a certificate and so cannot be handed on with what it showed. */
export type ScalerIdentity = Extract<Identity, { kind: 'scaler' }>;

/**
 * One coordinator's word to another for whom it has seen: `authorization: Vouched <text>`. Only autoscalers are vouched for, and only
 * processes with the yard's signing key can.
 */
export interface Vouching {
  seal(identity: ScalerIdentity, expiresAt: TimeMs): string;
  /** Undefined for what nobody here signed, or what has expired. */
  open(text: string, now: TimeMs): ScalerIdentity | undefined;
}

const PURPOSE = 'vouch';
const TEXT = /^([A-Za-z0-9_-]{1,1024})\.([0-9a-f]{16})\.([A-Za-z0-9_-]{86})$/;

export function vouchingBy(keyring: Keyring): Vouching {
  return {
    seal({ name, cluster }, expiresAt) {
      const body = Buffer.from(JSON.stringify({ name, cluster, expiresAt }));
      const { keyId } = keyring;
      return `${body.toString('base64url')}.${keyId}.${Buffer.from(keyring.sign(PURPOSE, body)).toString('base64url')}`;
    },
    open(text, now) {
      const [, body = '', keyId = '', signature = ''] = TEXT.exec(text) ?? [];
      const bytes = Buffer.from(body, 'base64url');
      if (body === '' || keyring.verify(PURPOSE, keyId, bytes, Buffer.from(signature, 'base64url')) !== 'good') return undefined;
      // A coordinator wrote it, of this version or another one.
      const { name, cluster, expiresAt } = JSON.parse(bytes.toString()) as Readonly<Record<string, unknown>>;
      if (typeof name !== 'string' || typeof cluster !== 'string' || typeof expiresAt !== 'number' || now >= expiresAt) return undefined;
      return { kind: 'scaler', name, cluster };
    },
  };
}

import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { hashToken } from './auth.ts';

/**
 * What lets one agent into the yard, once: 256 random bits, and by which authority the coordinator is known, so that nobody between the
 * two can take the token at the first contact.
 */
export type EnrolmentToken = {
  readonly text: string;
  /** What the ledger keeps of it: the SHA-256 of the text, hex. */
  readonly sha256: string;
  /** The SHA-256 of the authority's certificate, hex; undefined where the coordinator is known by one that everybody trusts. */
  readonly pin: string | undefined;
};

const FORM = /^swe1\.[A-Za-z0-9_-]{43}\.([0-9a-f]{64}|system)$/;

export function newEnrolmentToken(pin: string | undefined): EnrolmentToken {
  const text = `swe1.${randomBytes(32).toString('base64url')}.${pin ?? 'system'}`;
  return { text, sha256: hashToken(text), pin };
}

/** Whether the text is meant to be such a token, well formed or not. */
export function looksLikeEnrolmentToken(text: string): boolean {
  return text.startsWith('swe1.');
}

export function parseEnrolmentToken(text: string): EnrolmentToken | undefined {
  const pin = FORM.exec(text)?.[1];
  return pin === undefined ? undefined : { text, sha256: hashToken(text), pin: pin === 'system' ? undefined : pin };
}

/** By which a token knows an authority: the SHA-256 of its certificate, hex. */
export function pinOf(certificate: string | Buffer): string {
  return createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
}

/** Each certificate of a PEM text by itself, in its order. */
export function certificatesIn(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

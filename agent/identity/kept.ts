import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { certificatesIn } from '../../base/enrolment-token.ts';
import { Fault } from '../../base/fault.ts';
import { codeOf } from '../../base/thrown.ts';

/** What an agent keeps of its identity, PEM; the key alone until the first certificate came. */
export type KeptIdentity = {
  readonly key: string;
  readonly certificate: string | undefined;
  /** By which servers are known; empty where that is what everybody trusts. */
  readonly authorities: string;
};

/** What the file has: the key, the certificate, the authorities, in this order. @throws {Fault} CONFIG_INVALID where it is damaged */
export function readIdentity(path: string): KeptIdentity | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Fault('CONFIG_INVALID', `The agent's identity ${path} cannot be read (${codeOf(error) ?? String(error)})`, { cause: error });
  }
  const [key] = text.match(/-----BEGIN PRIVATE KEY-----[^-]*-----END PRIVATE KEY-----\n?/) ?? [];
  const [certificate, ...authorities] = certificatesIn(text);
  try {
    if (key === undefined) throw new Error('it has no key');
    if (certificate !== undefined) void new X509Certificate(certificate);
    return { key, certificate, authorities: authorities.join('\n') };
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The agent's identity ${path} is damaged: remove it, and give the agent a new enrolment token`, {
      cause: error,
    });
  }
}

/** Whole or not at all, and for its owner only. */
export function writeIdentity(path: string, { key, certificate, authorities }: KeptIdentity): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const text = [key, certificate ?? '', authorities].map((part) => (part === '' || part.endsWith('\n') ? part : `${part}\n`)).join('');
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

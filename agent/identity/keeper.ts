import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { setTimeout as realSleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { certificatesIn, looksLikeEnrolmentToken, parseEnrolmentToken, pinOf } from '../../base/enrolment-token.ts';
import type { Env } from '../../base/env.ts';
import { Fault, FAULTS, isFault } from '../../base/fault.ts';
import { newKeyPair } from '../../base/issue-certificate.ts';
import type { Prng } from '../../base/prng.ts';
import { newSigningRequest } from '../../base/signing-request.ts';
import { codeOf } from '../../base/thrown.ts';
import { exchangeableTls, readTlsFiles, type TlsMaterial, type TlsSource } from '../../base/tls-source.ts';
import { readIdentity, writeIdentity, type KeptIdentity } from './kept.ts';

export type IssuedCertificate = { readonly certificate: string; readonly authorities: string };

export type EnrolCredential = {
  readonly signingRequest: Uint8Array;
  readonly agentId: string;
  /** One of the two; the other is empty. */
  readonly token: string;
  readonly expiredCertificate: string;
};

/** What coordinators do for the identity of an agent. All throw what they answer, as Faults. */
export interface IdentityClient {
  /** What whoever listens there says that it is known by: nothing of it is believed yet. */
  authorities(address: string, signal: AbortSignal): Promise<string>;
  enrol(address: string, source: TlsSource, credential: EnrolCredential, signal: AbortSignal): Promise<IssuedCertificate>;
  renew(address: string, source: TlsSource, signingRequest: Uint8Array, signal: AbortSignal): Promise<IssuedCertificate>;
  identify(address: string, source: TlsSource, signal: AbortSignal): Promise<void>;
}

export type KeeperOptions = {
  /** Where key, certificate and authorities are kept. */
  readonly path: string;
  readonly agentId: string;
  /** The token itself, or the file that has it at the time. */
  readonly token: { readonly text: string } | { readonly file: string };
  /** A file of authorities, or `system`, where the token does not say by which the coordinator is known. */
  readonly tlsCa: string | undefined;
  /** Where coordinators are. */
  readonly addresses: readonly string[];
  readonly client: IdentityClient;
  readonly prng: Prng;
  readonly env: Env;
  /** Lets so many milliseconds pass, or rejects with the signal. @default of real time */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
};

/** An agent's identity that stays valid by itself. */
export interface KeptCertificate extends Disposable {
  /** What the agent shows and trusts at the moment. */
  readonly source: TlsSource;
}

const RETRY = { initialMs: 500, maxMs: 15_000 };
/** A certificate is renewed at half of its life, give or take this part of it, so that agents that came together do not renew together. */
const JITTER = 0.1;
/** Of what is left of a certificate, the part between two tries to renew it, at most. */
const TRY_PART = 0.1;

/**
 * Brings an agent into the yard, or finds that it is there already, and keeps it in: a new key and certificate at half of the life of
 * the one before. The private keys are made here and never leave the host. A coordinator that cannot be reached is waited for.
 * @throws {Fault} UNAUTHENTICATED, FORBIDDEN: why the agent is not let in; CONFIG_INVALID; CANCELLED with the signal
 */
export async function keepCertificate(options: KeeperOptions, signal: AbortSignal): Promise<KeptCertificate> {
  const { env, path } = options;
  const stop = new AbortController();
  const { identity, isNew } = await firstIdentity(options, signal);
  const source = exchangeableTls(materialOf(identity, options.tlsCa));
  if (isNew) env.log.info('agent-enrolled', { path, expires: expiryText(identity) });
  renewing(options, source, identity, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) env.log.error('certificate-not-kept', { error });
  });
  return { source, [Symbol.dispose]: () => stop.abort() };
}

async function firstIdentity(options: KeeperOptions, signal: AbortSignal): Promise<{ identity: Certified; isNew: boolean }> {
  const { path, env, prng } = options;
  const kept = readIdentity(path);
  if (isCertified(kept) && endOf(kept) > env.clock.now()) return { identity: kept, isNew: false };
  for (let tries = 0; ; tries += 1) {
    try {
      return { identity: await enrolAgain(options, kept, signal), isNew: true };
    } catch (error) {
      if (!isPassing(error)) throw error;
      env.log.warn('agent-not-enrolled-yet', { error });
    }
    await sleepOf(options)(backoffMs(RETRY, tries, prng), signal);
  }
}

/** By the key of before where that still does, else by the token. */
async function enrolAgain(options: KeeperOptions, kept: KeptIdentity | undefined, signal: AbortSignal): Promise<Certified> {
  if (isCertified(kept)) {
    try {
      return await enrolBy(options, kept.key, { token: '', expiredCertificate: kept.certificate }, kept, signal);
    } catch (error) {
      if (!isFault(error, 'UNAUTHENTICATED')) throw error;
      options.env.log.warn('former-certificate-refused', { error });
      const token = readToken(options);
      if (token === undefined) throw error;
      return await enrolByToken(options, newKeyPair().key, token, signal).catch((other: unknown) => {
        throw isFault(other, 'UNAUTHENTICATED')
          ? new Fault('UNAUTHENTICATED', `${error.message}; and ${other.message}`, { cause: other })
          : other;
      });
    }
  }
  const token = readToken(options);
  if (token === undefined) throw new Fault('CONFIG_INVALID', 'There is no enrolment token: give --enroll or --enroll-file');
  return await enrolByToken(options, kept?.key ?? newKeyPair().key, token, signal);
}

async function enrolByToken(options: KeeperOptions, key: string, token: string, signal: AbortSignal): Promise<Certified> {
  const { path } = options;
  // The key first: an agent that dies before it has the answer asks again with the same, which the token is good for.
  writeIdentity(path, { key, certificate: undefined, authorities: '' });
  return await enrolBy(options, key, { token, expiredCertificate: '' }, undefined, signal);
}

async function enrolBy(
  options: KeeperOptions,
  key: string,
  by: Pick<EnrolCredential, 'token' | 'expiredCertificate'>,
  kept: KeptIdentity | undefined,
  signal: AbortSignal,
): Promise<Certified> {
  const { agentId, client, path } = options;
  const credential = { ...by, agentId, signingRequest: newSigningRequest(key) };
  const answer = await anyOf(options.addresses, async (address) => {
    const source = exchangeableTls({ ca: await trustFor(options, by.token, kept, address, signal), own: undefined });
    return await client.enrol(address, source, credential, signal);
  });
  const identity = { key, ...answer };
  writeIdentity(path, identity);
  return identity;
}

/** By what the coordinator is known before the agent is in: what it kept, what its options say, or the authority that the token names. */
async function trustFor(
  { tlsCa, client }: KeeperOptions,
  token: string,
  kept: KeptIdentity | undefined,
  address: string,
  signal: AbortSignal,
): Promise<Buffer> {
  if (kept !== undefined && kept.authorities !== '') return Buffer.from(kept.authorities);
  if (tlsCa !== undefined) return systemOr(readTlsFiles({ ca: [tlsCa], cert: undefined, key: undefined }).ca);
  const parsed = parseEnrolmentToken(token);
  if (parsed === undefined && token !== '' && !looksLikeEnrolmentToken(token))
    throw new Fault(
      'CONFIG_INVALID',
      '--tls-ca is required: a token of a platform does not say by which authority the coordinator is known',
    );
  if (parsed === undefined && token !== '') throw new Fault('CONFIG_INVALID', '--enroll: this is no whole enrolment token');
  if (parsed?.pin === undefined) return systemOr(undefined);
  const offered = certificatesIn(await client.authorities(address, signal));
  const pinned = offered.find((certificate) => pinOf(certificate) === parsed.pin);
  if (pinned !== undefined) return Buffer.from(pinned);
  throw new Fault('UNAUTHENTICATED', `What answers at ${address} is not the yard that the enrolment token is for`, {
    hint: 'Check the address. Where it is right, somebody may be in between; or the authority was exchanged: then make another token.',
  });
}

/** Renews for as long as the agent lives. */
async function renewing(
  options: KeeperOptions,
  source: ReturnType<typeof exchangeableTls>,
  first: Certified,
  signal: AbortSignal,
): Promise<void> {
  const { env, prng, tlsCa } = options;
  let identity = first;
  const lifeOf = ({ certificate }: Certified) => new X509Certificate(certificate).validToDate.getTime() - env.clock.now();
  let lifeMs = lifeOf(identity);
  for (;;) {
    const half = lifeMs * (0.5 + (prng.next() * 2 - 1) * JITTER);
    await sleepOf(options)(Math.max(0, Math.min(half, MAX_SLEEP_MS)), signal);
    if (half > MAX_SLEEP_MS) {
      lifeMs = lifeOf(identity);
      continue;
    }
    identity = await renewed(options, source, identity, signal);
    lifeMs = lifeOf(identity);
    source.exchange(materialOf(identity, tlsCa));
    env.log.info('certificate-renewed', { expires: expiryText(identity) });
  }
}

function sleepOf({ sleep }: KeeperOptions): NonNullable<KeeperOptions['sleep']> {
  return sleep ?? ((ms, signal) => realSleep(ms, undefined, { signal }));
}

/** Timers take no more. */
const MAX_SLEEP_MS = 2 ** 31 - 1;

/** Tries until there is another one: over the certificate while it counts, by its key after that. */
async function renewed(options: KeeperOptions, source: TlsSource, identity: Certified, signal: AbortSignal): Promise<Certified> {
  const { env, prng, client, path, addresses } = options;
  const { key } = newKeyPair();
  for (let tries = 0; ; tries += 1) {
    const leftMs = endOf(identity) - env.clock.now();
    try {
      if (leftMs <= 0) return await enrolAgain(options, identity, signal);
      const request = newSigningRequest(key);
      const answer = await anyOf(addresses, (address) => client.renew(address, source, request, signal));
      const next = { key, ...answer };
      writeIdentity(path, next);
      return next;
    } catch (error) {
      if (signal.aborted) throw error;
      env.log[isPassing(error) ? 'warn' : 'error']('certificate-not-renewed', { error, expires: expiryText(identity) });
    }
    const wait = Math.min(backoffMs(RETRY, tries, prng), Math.max(RETRY.initialMs, leftMs * TRY_PART));
    await sleepOf(options)(wait, signal);
  }
}

type Certified = KeptIdentity & { readonly certificate: string };

function isCertified(identity: KeptIdentity | undefined): identity is Certified {
  return identity?.certificate !== undefined;
}

function endOf({ certificate }: Certified): number {
  return new X509Certificate(certificate).validToDate.getTime();
}

function expiryText(identity: Certified): string {
  return new Date(endOf(identity)).toISOString();
}

function materialOf({ key, certificate, authorities }: Certified, tlsCa: string | undefined): TlsMaterial {
  const given = tlsCa === undefined ? undefined : readTlsFiles({ ca: [tlsCa], cert: undefined, key: undefined }).ca;
  const known = authorities === '' ? systemOr(given) : Buffer.from(authorities);
  return { ca: known, own: { cert: Buffer.from(certificate), key: Buffer.from(key) } };
}

function systemOr(ca: Buffer | undefined): Buffer {
  return ca ?? Buffer.from(rootCertificates.join('\n'));
}

/** What the first gives that can be reached. @throws {Fault} what the last of them said */
async function anyOf<T>(addresses: readonly string[], ask: (address: string) => Promise<T>): Promise<T> {
  let last: unknown = new Fault('CONFIG_INVALID', 'No coordinator is named');
  for (const address of addresses) {
    try {
      return await ask(address);
    } catch (error) {
      if (!isPassing(error)) throw error;
      last = error;
    }
  }
  throw last;
}

/** Whether it may be otherwise later, by itself. */
function isPassing(error: unknown): boolean {
  return isFault(error) && FAULTS[error.code].retry === 'backoff';
}

function readToken({ token }: KeeperOptions): string | undefined {
  if ('text' in token) return token.text;
  try {
    return readFileSync(token.file, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Fault('CONFIG_INVALID', `The file ${token.file} cannot be read (${codeOf(error) ?? String(error)})`, { cause: error });
  }
}

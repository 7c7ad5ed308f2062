import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, errors, jwtVerify, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Authenticator, CallerCertificate, Evidence, Identity } from '../auth.ts';
import type { TimeMs } from '../clock.ts';
import type { Env } from '../env.ts';
import { Fault } from '../fault.ts';
import { codeOf, reasonOf } from '../thrown.ts';
import { watchForChange } from '../watch-file.ts';
import { agentOf, callerByCertificate, callerOf, claimsOf, firstName, parseIssuers } from './rules.ts';
import type { AgentRule, CertificateRules, Claims, IssuerRules } from './rules.ts';

/** What a platform says of an agent. */
export type AttestedAgent = Omit<AgentRule, 'when'> & {
  /** The same for the same token, and for no other. */
  readonly tokenId: string;
  readonly expiresAt: TimeMs;
  /** Names that the platform knows it by, of which it may take one as its id; any where there is none. */
  readonly names: readonly string[];
  /** Whom the token is for, for records. */
  readonly subject: string;
};

/** Tokens that others sign: of CI systems, for their pipelines, and of platforms, for their workloads. */
export interface TokenVerifier extends Disposable {
  /** @throws {Fault} UNAUTHENTICATED where it is not good, FORBIDDEN where no rule is for it, PEER_UNAVAILABLE where keys cannot be had */
  caller(token: string): Promise<Identity>;
  /** Who shows the certificate. @throws {Fault} UNAUTHENTICATED where it has expired, FORBIDDEN where no rule is for it */
  certified(certificate: CallerCertificate): Identity;
  /** @throws {Fault} as `caller` */
  agent(token: string): Promise<AttestedAgent>;
}

/** Signatures by keys that the issuer alone has; nothing that a public key could make, and not the absence of a signature. */
const ALGORITHMS = ['RS256', 'ES256'];
/** How far the issuer's clock may be from ours. */
const SKEW_SECONDS = 30;
/** Tokens that live for longer are no tokens of a job. */
const AGE_SECONDS_MAX = 24 * 3_600;
const TOKEN_MAX = 16_384;
/** Verified tokens that are remembered: a signature costs a fraction of a millisecond, and a tool makes thousands of calls with one. */
const REMEMBERED_MAX = 2_000;
const FETCH_MS = 5_000;

/** Reads the file and those of pinned keys, and again when one of them changes. @throws {Fault} CONFIG_INVALID naming the place */
export function openTokenVerifier(path: string, env: Env): TokenVerifier {
  let { issuers, certificates } = readIssuers(path);
  const known = new Map<string, { readonly identity: Identity; readonly until: TimeMs }>();
  let watches: readonly Disposable[] = [];
  const watch = () => {
    for (const one of watches) one[Symbol.dispose]();
    const files = issuers.flatMap(({ keys }) => ('file' in keys ? [keys.file] : []));
    watches = [path, ...new Set(files)].map((file) => watchForChange(file, reread));
  };
  const reread = () => {
    try {
      ({ issuers, certificates } = readIssuers(path));
      known.clear();
      watch();
      env.log.info('issuers-reread', { path, issuers: issuers.length });
    } catch (error) {
      env.log.error('issuers-not-reread', { path, error });
    }
  };
  watch();
  const verify = (token: string) => verified(token, issuers, env.clock.now());
  return {
    async caller(token) {
      const hash = createHash('sha256').update(token).digest('base64');
      const remembered = known.get(hash);
      if (remembered !== undefined && env.clock.now() < remembered.until) return remembered.identity;
      const { rules, claims, expiresAt } = await verify(token);
      const caller = callerOf(rules, claims);
      if (caller === undefined) throw noRule(rules, claims, 'callers');
      const identity: Identity = { kind: 'caller', caller };
      if (known.size >= REMEMBERED_MAX) known.clear();
      known.set(hash, { identity, until: expiresAt });
      return identity;
    },
    certified({ authority, names, serial, validTo }) {
      if (env.clock.now() >= validTo)
        throw new Fault('UNAUTHENTICATED', `The client's certificate expired at ${new Date(validTo).toISOString()}`);
      const rules = certificates.find((one) => one.authority === authority);
      const caller = rules && callerByCertificate(rules, names);
      if (caller === undefined) {
        throw new Fault('FORBIDDEN', `No rule of "certificates" of the authority ${authority} is for ${firstName(names).slice(0, 200)}`, {
          hint: 'The issuers file says which names a certificate must have.',
        });
      }
      const [uri] = names.uri;
      return { kind: 'caller', caller, certificate: { serial, ...(uri === undefined ? {} : { uri }) } };
    },
    async agent(token) {
      const { rules, claims, expiresAt } = await verify(token);
      const agent = agentOf(rules, claims);
      if (agent === undefined) throw noRule(rules, claims, 'agents');
      const names = ['kubernetes.io/pod/name', 'kubernetes.io/node/name'].flatMap((claim) => claims.get(claim) ?? []);
      const tokenId = createHash('sha256')
        .update(claims.get('jti') ?? token)
        .digest('hex');
      return { ...agent, expiresAt, names, tokenId: `${rules.name}:${tokenId}`, subject: `${rules.name}:${claims.get('sub')}` };
    },
    [Symbol.dispose]() {
      for (const one of watches) one[Symbol.dispose]();
    },
  };
}

/** The authenticator, which also takes such tokens of callers as bearer tokens, and certificates of callers where there is no token. */
export function withIssuedTokens(next: Authenticator, verifier: TokenVerifier): Authenticator {
  return {
    identify(evidence: Evidence) {
      const certificate = evidence.tls?.certificate;
      if (evidence.authorization === undefined && certificate?.kind === 'caller') return verifier.certified(certificate);
      const token = /^Bearer (eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*)$/i.exec(evidence.authorization ?? '')?.[1];
      return token === undefined ? next.identify(evidence) : verifier.caller(token);
    },
  };
}

type Issuer = IssuerRules & { readonly key: JWTVerifyGetKey };

function readIssuers(path: string): { readonly issuers: readonly Issuer[]; readonly certificates: readonly CertificateRules[] } {
  const { issuers, certificates } = parseIssuers(read(path));
  return { issuers: issuers.map((rules) => ({ ...rules, key: keyOf(rules) })), certificates };
}

function keyOf({ keys }: IssuerRules): JWTVerifyGetKey {
  if ('url' in keys)
    return createRemoteJWKSet(new URL(keys.url), { timeoutDuration: FETCH_MS, cooldownDuration: 30_000, cacheMaxAge: 600_000 });
  try {
    return createLocalJWKSet(JSON.parse(read(keys.file)) as JSONWebKeySet); // it looks at what it is given
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `${keys.file} is no JWKS: ${reasonOf(error)}`, { cause: error });
  }
}

async function verified(token: string, issuers: readonly Issuer[], now: TimeMs) {
  const refused = (why: string, cause?: unknown) => new Fault('UNAUTHENTICATED', `The token counts for nothing here: ${why}`, { cause });
  if (token.length > TOKEN_MAX) throw refused(`it is longer than ${TOKEN_MAX} characters`);
  const { iss, aud } = unverified(token, refused);
  const rules = issuers.find(({ issuer, audience }) => issuer === iss && audience === aud);
  if (rules === undefined) {
    const isKnown = issuers.some(({ issuer }) => issuer === iss);
    throw refused(
      isKnown ? `it is for ${JSON.stringify(aud)?.slice(0, 200)}, and not for this yard alone` : 'nobody here trusts its issuer',
    );
  }
  try {
    const { payload } = await jwtVerify(token, rules.key, {
      algorithms: ALGORITHMS,
      issuer: rules.issuer,
      audience: rules.audience,
      clockTolerance: SKEW_SECONDS,
      maxTokenAge: AGE_SECONDS_MAX,
      currentDate: new Date(now),
      requiredClaims: ['exp', 'iat', 'sub'],
    });
    return { rules, claims: claimsOf(payload), expiresAt: (payload.exp ?? 0) * 1_000 };
  } catch (error) {
    const isAway = error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError) || error.code === 'ERR_JOSE_GENERIC';
    if (isAway) throw new Fault('PEER_UNAVAILABLE', `The keys of ${rules.issuer} cannot be had: ${reasonOf(error)}`, { cause: error });
    throw refused(error.message, error);
  }
}

/** Who a token says made it, and for whom: by that its keys are found. Nothing of it is believed. */
function unverified(token: string, refused: (why: string) => Fault): { readonly iss: unknown; readonly aud: unknown } {
  try {
    const { iss, aud } = decodeJwt(token);
    return { iss, aud: Array.isArray(aud) && aud.length === 1 ? aud[0] : aud };
  } catch {
    throw refused('it is no JWT');
  }
}

function noRule({ name, issuer }: IssuerRules, claims: Claims, list: string): Fault {
  return new Fault('FORBIDDEN', `No rule of "${list}" of the issuer ${name} (${issuer}) is for ${claims.get('sub')?.slice(0, 200)}`, {
    hint: 'The issuers file says which claims a token must have.',
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The file ${path} cannot be read (${codeOf(error) ?? String(error)})`, { cause: error });
  }
}

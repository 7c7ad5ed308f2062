import type { CertifiedNames } from '../auth.ts';
import { isOpenScope, isProject, ROLES, type Caller, type Role } from '../caller.ts';
import { Fault } from '../fault.ts';
import { parseZone, type Zone } from '../zone.ts';

/** Who makes tokens; it decides which claims are immutable ids, and what a pull request looks like. */
export const ISSUER_KINDS = ['github', 'gitlab', 'buildkite', 'kubernetes', 'oidc'] as const;

export type IssuerKind = (typeof ISSUER_KINDS)[number];

/** Claims by the path to them, with slashes: `kubernetes.io/pod/uid`. Texts as they are, everything else as JSON. */
export type Claims = ReadonlyMap<string, string>;

/** Which claims must have which value, or one of which. */
export type Conditions = Readonly<Record<string, readonly string[]>>;

/** What a token's bearer is whose claims are as `when` says. */
export type CallerRule = {
  readonly when: Conditions;
  readonly role: Role;
  readonly project: string;
  /** `{pull}` stands for the number of the pull or merge request. */
  readonly scope: string;
  readonly zoneCeiling: Zone;
};

export type AgentRule = { readonly when: Conditions; readonly zone: Zone; readonly cluster: string; readonly pool: string };

export type IssuerRules = {
  readonly name: string;
  readonly kind: IssuerKind;
  /** The value of `iss`. */
  readonly issuer: string;
  /** The value of `aud`, alone. */
  readonly audience: string;
  /** Where its keys are: a JWKS in a file, or at a URL. */
  readonly keys: { readonly file: string } | { readonly url: string };
  readonly callers: readonly CallerRule[];
  readonly agents: readonly AgentRule[];
};

/** Callers with certificates of one authority. */
export type CertificateRules = {
  /** As `--caller-ca` names it. */
  readonly authority: string;
  readonly callers: readonly CallerRule[];
};

/** What the file says of whom. */
export type IssuersFile = { readonly issuers: readonly IssuerRules[]; readonly certificates: readonly CertificateRules[] };

/** Claims of which each rule must name one: names of repositories and organisations can be given up and taken by others. */
const IDS: Readonly<Record<IssuerKind | 'certificate', readonly string[]>> = {
  github: ['repository_id', 'repository_owner_id'],
  gitlab: ['project_id', 'namespace_id'],
  buildkite: ['organization_id'],
  kubernetes: ['sub'],
  oidc: ['sub'],
  certificate: ['uri', 'dns', 'email', 'subject'],
};

/** The claim that says why a pipeline runs, and whether that is a change that somebody only proposes. */
const EVENTS: Partial<Record<IssuerKind | 'certificate', { readonly claim: string; readonly isProposal: (value: string) => boolean }>> = {
  github: { claim: 'event_name', isProposal: (value) => /^(pull_request|issue_comment|workflow_run)/.test(value) },
  gitlab: { claim: 'pipeline_source', isProposal: (value) => /merge_request/.test(value) },
};

/**
 * A file of issuers: a JSON object `{"issuers": [{"name", "kind", "issuer", "audience", "keys", "callers", "agents"}],
 * "certificates": [{"authority", "callers"}]}`; docs/security.md
 * says what each part means. @throws {Fault} CONFIG_INVALID naming the place
 */
export function parseIssuers(text: string): IssuersFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Fault('CONFIG_INVALID', 'Issuers file: not JSON', { cause: error });
  }
  const file = partsOf(json, 'the file', ['issuers', 'certificates']);
  const issuers = listOf(file, 'issuers', 'the file').map((raw, index) => issuerFrom(raw, `issuers[${index}]`));
  const names = new Set(issuers.map(({ issuer, audience }) => `${issuer} ${audience}`));
  if (names.size !== issuers.length) throw bad('issuers', 'has one issuer twice with the same audience: put its rules together');
  const certificates = listOf(file, 'certificates', 'the file').map((raw, index) => certificatesFrom(raw, `certificates[${index}]`));
  if (new Set(certificates.map(({ authority }) => authority)).size !== certificates.length)
    throw bad('certificates', 'has one authority twice: put its rules together');
  return { issuers, certificates };
}

function certificatesFrom(raw: unknown, at: string): CertificateRules {
  const parts = partsOf(raw, at, ['authority', 'callers']);
  const authority = textOf(parts, 'authority', at, isProject, 'the name that --caller-ca gives the authority');
  const callers = listOf(parts, 'callers', at).map((rule, index) => callerRuleFrom(rule, 'certificate', `${at}.callers[${index}]`));
  if (callers.length === 0) throw bad(`${at}.callers`, 'must have a rule: without, its certificates are for nobody');
  return { authority, callers };
}

function issuerFrom(raw: unknown, at: string): IssuerRules {
  const parts = partsOf(raw, at, ['name', 'kind', 'issuer', 'audience', 'keys', 'callers', 'agents']);
  const name = textOf(parts, 'name', at, isProject, '1 to 63 letters, digits, ".", "_" or "-"');
  const kind = ISSUER_KINDS.find((known) => known === parts.get('kind'));
  if (kind === undefined) throw bad(`${at}.kind`, `must be one of ${ISSUER_KINDS.join(', ')}`);
  const issuer = textOf(parts, 'issuer', at, (value) => /^https:\/\/\S+$/.test(value), 'the URL that tokens have as "iss"');
  const audience = textOf(parts, 'audience', at, (value) => value !== '', 'what tokens have as "aud"');
  const callers = listOf(parts, 'callers', at).map((rule, index) => callerRuleFrom(rule, kind, `${at}.callers[${index}]`));
  const agents = listOf(parts, 'agents', at).map((rule, index) => agentRuleFrom(rule, kind, `${at}.agents[${index}]`));
  if (callers.length + agents.length === 0) throw bad(at, 'must have "callers" or "agents": without, its tokens are for nobody');
  return { name, kind, issuer, audience, keys: keysFrom(parts.get('keys'), `${at}.keys`), callers, agents };
}

function keysFrom(raw: unknown, at: string): IssuerRules['keys'] {
  const parts = partsOf(raw, at, ['file', 'url']);
  const [file, url] = [parts.get('file'), parts.get('url')];
  if (typeof file === 'string' && url === undefined) return { file };
  if (typeof url === 'string' && file === undefined && /^(https:\/\/|http:\/\/127\.0\.0\.1[:/])/.test(url)) return { url };
  throw bad(at, 'must be {"file": PATH} of a JWKS, or {"url": URL} of one over https');
}

function callerRuleFrom(raw: unknown, kind: IssuerKind | 'certificate', at: string): CallerRule {
  const parts = partsOf(raw, at, ['when', 'role', 'project', 'scope', 'zoneCeiling']);
  const when = whenFrom(parts.get('when'), kind, `${at}.when`);
  const role = ROLES.find((known) => known === parts.get('role'));
  if (role === undefined) throw bad(`${at}.role`, `must be one of ${ROLES.join(', ')}`);
  const project = textOf(parts, 'project', at, isProject, 'the name of a project');
  const isScope = (value: string) => isOpenScope(kind === 'certificate' ? value : value.replace('{pull}', '7'));
  const scope = textOf(
    parts,
    'scope',
    at,
    isScope,
    kind === 'certificate' ? 'a path such as main' : 'a path such as main or main/pr-{pull}',
  );
  const zoneCeiling = zoneFrom(parts, 'zoneCeiling', at);
  const events = EVENTS[kind];
  if (events !== undefined && zoneCeiling !== 'untrusted' && when[events.claim]?.some(events.isProposal) === true)
    throw bad(`${at}.zoneCeiling`, `must be untrusted for ${when[events.claim]?.join(', ')}: anybody may propose a change`);
  return { when, role, project, scope, zoneCeiling };
}

function agentRuleFrom(raw: unknown, kind: IssuerKind, at: string): AgentRule {
  const parts = partsOf(raw, at, ['when', 'zone', 'cluster', 'pool']);
  const named = (key: string) => textOf(parts, key, at, isProject, `the name of a ${key}`);
  return {
    when: whenFrom(parts.get('when'), kind, `${at}.when`),
    zone: zoneFrom(parts, 'zone', at),
    cluster: named('cluster'),
    pool: named('pool'),
  };
}

function whenFrom(raw: unknown, kind: IssuerKind | 'certificate', at: string): Conditions {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw bad(at, 'must say which claims have which values');
  const when: Record<string, readonly string[]> = {};
  for (const [claim, value] of Object.entries(raw)) {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    const texts = values.filter((one) => typeof one === 'string');
    if (texts.length === 0 || texts.length < values.length) throw bad(`${at}["${claim}"]`, 'must be a text, or some of them');
    when[claim] = texts;
  }
  if (kind === 'certificate') checkPatterns(when, at);
  if (!IDS[kind].some((claim) => when[claim] !== undefined)) {
    throw bad(at, `must name ${IDS[kind].join(' or ')}: other claims can come to be those of somebody else`);
  }
  return when;
}

/** @throws {Fault} CONFIG_INVALID */
function checkPatterns(when: Conditions, at: string): void {
  for (const [kind, patterns] of Object.entries(when)) {
    if (!IDS.certificate.includes(kind)) throw bad(`${at}.${kind}`, `is not known; there are ${IDS.certificate.join(', ')}`);
    for (const pattern of patterns) {
      const isGood = pattern.length <= PATTERN_MAX && /[^*]/.test(pattern) && (kind !== 'subject' || /^[A-Za-z0-9.]+=./.test(pattern));
      if (!isGood) throw bad(`${at}.${kind}`, `cannot be "${pattern.slice(0, 64)}": name something, such as ${EXAMPLES[kind]}`);
    }
  }
}

const PATTERN_MAX = 512;
const EXAMPLES: Readonly<Record<string, string>> = {
  uri: 'spiffe://ci.example/shop/*',
  dns: '*.ci.example',
  email: 'release@example.com',
  subject: 'CN=release-*',
};

/** The caller whose certificate has these names; the first rule that fits is the one. */
export function callerByCertificate({ authority, callers }: CertificateRules, names: CertifiedNames): Caller | undefined {
  const fitsName = (kind: keyof CertifiedNames, pattern: string) => names[kind].some((name) => matcherOf(kind, pattern).test(name));
  const rule = callers.find(({ when }) =>
    KINDS.every((kind) => when[kind] === undefined || when[kind].some((pattern) => fitsName(kind, pattern))),
  );
  if (rule === undefined) return undefined;
  const { role, project, scope, zoneCeiling } = rule;
  return { name: `${authority}:${firstName(names)}`.slice(0, 256), role, project, scope, zoneCeiling };
}

const KINDS = ['uri', 'dns', 'email', 'subject'] as const;

/** By what a certificate is called in records. */
export function firstName(names: CertifiedNames): string {
  return KINDS.flatMap((kind) => names[kind])[0] ?? 'nobody';
}

/** A `*` stands for anything within one part: of a URI's path, of a host's name, of an attribute. */
function matcherOf(kind: keyof CertifiedNames, pattern: string): RegExp {
  const part = { uri: '[^/]*', dns: '[^.]*', email: '[^@]*', subject: '.*' }[kind];
  return new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll(/\*+/g, part)}$`, kind === 'dns' ? 'i' : '');
}

/** The caller that the claims are of; the first rule that fits is the one. */
export function callerOf({ kind, name, callers }: IssuerRules, claims: Claims): Caller | undefined {
  const rule = callers.find(({ when }) => fits(when, kind, claims));
  const pull = /^refs\/(?:pull|merge-requests)\/(\d{1,12})\//.exec(claims.get('ref_path') ?? claims.get('ref') ?? '')?.[1];
  if (rule === undefined || (rule.scope.includes('{pull}') && pull === undefined)) return undefined;
  const { role, project, zoneCeiling } = rule;
  return {
    name: `${name}:${claims.get('sub')}`.slice(0, 256),
    role,
    project,
    scope: rule.scope.replace('{pull}', pull ?? ''),
    zoneCeiling,
  };
}

export function agentOf({ kind, agents }: IssuerRules, claims: Claims): Omit<AgentRule, 'when'> | undefined {
  const rule = agents.find(({ when }) => fits(when, kind, claims));
  return rule && { zone: rule.zone, cluster: rule.cluster, pool: rule.pool };
}

/** A rule that says nothing of events is not for changes that somebody only proposes. */
function fits(when: Conditions, kind: IssuerKind, claims: Claims): boolean {
  const events = EVENTS[kind];
  const event = events === undefined ? undefined : claims.get(events.claim);
  if (events !== undefined && when[events.claim] === undefined && (event === undefined || events.isProposal(event))) return false;
  return Object.entries(when).every(([claim, values]) => {
    const value = claims.get(claim);
    return value !== undefined && values.includes(value);
  });
}

/** Every claim by its path. */
export function claimsOf(payload: object): Claims {
  const claims = new Map<string, string>();
  const walk = (value: unknown, path: string, depth: number): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || depth > 4) {
      claims.set(path, typeof value === 'string' ? value : JSON.stringify(value));
      return;
    }
    for (const [key, inner] of Object.entries(value)) walk(inner, path === '' ? key : `${path}/${key}`, depth + 1);
  };
  walk(payload, '', 0);
  return claims;
}

function partsOf(raw: unknown, at: string, known: readonly string[]): ReadonlyMap<string, unknown> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw bad(at, `must be an object of ${known.join(', ')}`);
  const parts = new Map<string, unknown>(Object.entries(raw));
  for (const key of parts.keys()) if (!known.includes(key)) throw bad(`${at}.${key}`, `is not known; there are ${known.join(', ')}`);
  return parts;
}

function listOf(parts: ReadonlyMap<string, unknown>, key: string, at: string): readonly unknown[] {
  const list = parts.get(key) ?? [];
  if (Array.isArray(list)) return list;
  throw bad(`${at}.${key}`, 'must be an array');
}

function textOf(parts: ReadonlyMap<string, unknown>, key: string, at: string, isGood: (text: string) => boolean, form: string): string {
  const value = parts.get(key);
  if (typeof value === 'string' && isGood(value)) return value;
  throw bad(`${at}.${key}`, `must be ${form}`);
}

function zoneFrom(parts: ReadonlyMap<string, unknown>, key: string, at: string): Zone {
  const zone = parseZone(String(parts.get(key)));
  if (zone !== undefined) return zone;
  throw bad(`${at}.${key}`, 'must be untrusted, trusted or production');
}

function bad(field: string, fix: string): Fault {
  return new Fault('CONFIG_INVALID', `Issuers file: ${field} ${fix}`, { field });
}

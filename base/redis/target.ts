import { Fault } from '../fault.ts';
import { Secret } from '../secret.ts';

export type Host = { readonly host: string; readonly port: number };

/** Which Redis, as its URL says. */
export type RedisTarget = {
  readonly at:
    | { readonly kind: 'single'; readonly host: Host }
    | { readonly kind: 'socket'; readonly path: string }
    | { readonly kind: 'cluster'; readonly hosts: readonly Host[] }
    | { readonly kind: 'sentinel'; readonly hosts: readonly Host[]; readonly master: string };
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  readonly database: number;
};

const FORMS =
  'redis://host:port/db, rediss://... for TLS, redis-cluster://host:port,host:port, ' +
  'redis-sentinel://host:port,host:port/master/db or unix:///path/to/socket';
const URL_FORM = /^(rediss?|rediss?-cluster|rediss?-sentinel|unix):\/\/(?:([^@/]*)@)?([^/]*)(\/.*)?$/;

/**
 * Reads a URL. `user:password@` may stand before the hosts, percent-encoded.
 * @throws {Fault} BAD_REQUEST saying what is wrong, without the password.
 */
export function parseTarget(url: string): RedisTarget {
  const match = URL_FORM.exec(url);
  if (match === null) throw bad(`must be ${FORMS}`);
  const [, scheme = '', credential, hosts = '', rest = ''] = match;
  if (`${hosts}${rest}`.includes('@')) throw bad('has a / or @ in its user or password: write %2F and %40 for them');
  const common = { ...credentialOf(credential), tls: scheme.startsWith('rediss') };
  if (scheme === 'unix') return { at: { kind: 'socket', path: rest }, ...common, database: 0 };
  const sentinel = scheme.endsWith('sentinel');
  const list = hosts.split(',').map((text, index) => hostOf(text, sentinel ? 26_379 : 6_379, index + 1));
  const parts = rest
    .split('/')
    .slice(1)
    .filter((part) => part !== '');
  if (sentinel) {
    const [master, database, ...more] = parts;
    if (master === undefined || more.length > 0)
      throw bad('names the master after the sentinels: redis-sentinel://host:port,host:port/master/db');
    return { at: { kind: 'sentinel', hosts: list, master: decode(master) }, ...common, database: databaseOf(database) };
  }
  if (parts.length > 1) throw bad(`must be ${FORMS}`);
  if (scheme.endsWith('cluster')) {
    if (databaseOf(parts[0]) !== 0) throw bad('names a database, but a cluster has database 0 only');
    return { at: { kind: 'cluster', hosts: list }, ...common, database: 0 };
  }
  const [host, ...more] = list;
  if (host === undefined || more.length > 0) throw bad('lists several hosts: say redis-cluster:// or redis-sentinel://');
  return { at: { kind: 'single', host }, ...common, database: databaseOf(parts[0]) };
}

/** The target for people: without user and password. */
export function describeTarget({ at }: RedisTarget): string {
  switch (at.kind) {
    case 'single':
      return `${at.host.host}:${at.host.port}`;
    case 'socket':
      return at.path;
    case 'cluster':
      return `the cluster of ${at.hosts.map(({ host, port }) => `${host}:${port}`).join(', ')}`;
    case 'sentinel':
      return `${at.master} of the sentinels ${at.hosts.map(({ host, port }) => `${host}:${port}`).join(', ')}`;
  }
}

function credentialOf(text: string | undefined): Pick<RedisTarget, 'user' | 'password'> {
  if (text === undefined || text === '') return { user: undefined, password: undefined };
  const colon = text.indexOf(':');
  const user = decode(colon < 0 ? text : text.slice(0, colon));
  const password = colon < 0 ? undefined : decode(text.slice(colon + 1));
  return { user: user === '' ? undefined : user, password: password === undefined ? undefined : new Secret(password) };
}

/** What the text is stays unsaid where it is no host: it may be a password that nobody has marked as one. */
function hostOf(text: string, defaultPort: number, place: number): Host {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::([0-9]{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? defaultPort);
  if (match?.[1] === undefined || port < 1 || port > 65_535) throw bad(`has something else than host:port as host ${place}`);
  return { host: match[1].replaceAll(/^\[|\]$/g, ''), port };
}

function databaseOf(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^[0-9]{1,4}$/.test(text)) throw bad(`has "${text}" where the number of a database belongs`);
  return Number(text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('has a % that begins no %XX: write %25 for it');
  }
}

function bad(what: string): Fault {
  return new Fault('BAD_REQUEST', what, { field: 'redisUrl' });
}

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates } from 'node:tls';
import { Fault } from './fault.ts';
import type { Logger } from './log.ts';
import { codeOf, reasonOf } from './thrown.ts';
import { watchForChange } from './watch-file.ts';

/** One side's certificates at the moment, as PEM. */
export type TlsMaterial = {
  /** The authorities whose certificates the other side may show; undefined where it need show none. */
  readonly ca: Buffer | undefined;
  readonly own: { readonly cert: Buffer; readonly key: Buffer } | undefined;
};

/** Certificates that may be exchanged while connections are open: those stay, new ones use the new. */
export interface TlsSource {
  current(): TlsMaterial;
  /** Calls `run` after each exchange, until it is disposed of. */
  onChange(run: (material: TlsMaterial) => void): Disposable;
}

export type TlsFiles = {
  /** PEM files of authorities, or the word `system` for those that the runtime brings. */
  readonly ca: readonly string[];
  readonly cert: string | undefined;
  readonly key: string | undefined;
};

/**
 * What the files hold, read again within seconds of a change. Files that are wrong by then change nothing; the log says so.
 * @throws {Fault} CONFIG_INVALID naming the file, where one is missing or wrong at the start
 */
export function openTlsFiles(files: TlsFiles, log: Logger): TlsSource & Disposable {
  const source = exchangeableTls(readTlsFiles(files));
  const reread = () => {
    try {
      const fresh = readTlsFiles(files);
      if (same(fresh, source.current())) return;
      source.exchange(fresh);
      log.info('certificates-reread', { ...files, expires: expiryOf(fresh) });
    } catch (error) {
      log.error('certificates-not-reread', { ...files, error });
    }
  };
  const paths = [...files.ca, files.cert, files.key].flatMap((path) => (path === undefined || path === SYSTEM ? [] : [path]));
  const watches = paths.map((path) => watchForChange(path, reread));
  return {
    ...source,
    [Symbol.dispose]() {
      for (const watch of watches) watch[Symbol.dispose]();
    },
  };
}

/** Certificates in memory, and a way to exchange them. */
export function exchangeableTls(first: TlsMaterial): TlsSource & { exchange(next: TlsMaterial): void } {
  const listeners = new Set<(material: TlsMaterial) => void>();
  let current = first;
  return {
    current: () => current,
    onChange(run) {
      const own = (material: TlsMaterial) => run(material); // the same function may listen twice
      listeners.add(own);
      return { [Symbol.dispose]: () => void listeners.delete(own) };
    },
    exchange(next) {
      current = next;
      for (const run of listeners) run(next);
    },
  };
}

/** What a server shows of the source that asks no client for a certificate. */
export function withoutAuthorities(source: TlsSource): TlsSource {
  const own = (material: TlsMaterial): TlsMaterial => ({ ...material, ca: undefined });
  return { current: () => own(source.current()), onChange: (run) => source.onChange((material) => run(own(material))) };
}

/** The first name or address that a certificate is for, as others may dial it. @throws {Fault} CONFIG_INVALID where it has none */
export function hostNamed(cert: Buffer): string {
  const names = new X509Certificate(cert).subjectAltName ?? '';
  const host = /(?:^|, )(?:DNS|IP Address):([A-Za-z0-9.:-]+)(?:,|$)/.exec(names)?.[1];
  if (host !== undefined) return host;
  throw new Fault('CONFIG_INVALID', `The certificate of --tls-cert names no host (its names are: ${names === '' ? 'none' : names})`, {
    field: 'tlsCert',
    hint: 'Give it the DNS name or the address under which others reach this process.',
  });
}

const SYSTEM = 'system';

/** What the files hold now. @throws {Fault} CONFIG_INVALID naming the file */
export function readTlsFiles({ ca, cert, key }: TlsFiles): TlsMaterial {
  const authorities = ca.map((path) => (path === SYSTEM ? Buffer.from(rootCertificates.join('\n')) : read(path)));
  const own = cert === undefined || key === undefined ? undefined : { cert: read(cert), key: read(key) };
  const material = { ca: authorities.length === 0 ? undefined : Buffer.concat(authorities.flatMap((one) => [one, NEWLINE])), own };
  try {
    authorities.map((one) => new X509Certificate(one)); // throws where one is none: a context would take it for an empty list
    createSecureContext({ ca: material.ca, ...own });
  } catch (error) {
    const named = [...ca, cert, key].filter((path) => path !== undefined).join(', ');
    throw new Fault('CONFIG_INVALID', `The certificates in ${named} cannot be used: ${reasonOf(error)}`, {
      hint: 'Each must be PEM, and the key the one of the certificate.',
      cause: error,
    });
  }
  return material;
}

const NEWLINE = Buffer.from('\n');

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The file ${path} cannot be read (${codeOf(error) ?? reasonOf(error)})`, { cause: error });
  }
}

function same(one: TlsMaterial, other: TlsMaterial): boolean {
  const texts = ({ ca, own }: TlsMaterial) => [ca, own?.cert, own?.key].map((part) => part?.toString('latin1'));
  return texts(one).join('\0') === texts(other).join('\0');
}

function expiryOf({ own }: TlsMaterial): string | undefined {
  return own === undefined ? undefined : new X509Certificate(own.cert).validTo;
}

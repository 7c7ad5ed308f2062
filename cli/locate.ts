import fs from 'node:fs';
import path from 'node:path';
import { codeOf } from '../base/thrown.ts';
import { isLoopback } from '../base/address.ts';
import { Fault, isFault } from '../base/fault.ts';
import { Secret } from '../base/secret.ts';
import { exchangeableTls, readTlsFiles } from '../base/tls-source.ts';
import type { Link } from '../proto/dial.ts';
import type { DialTls } from '../proto/tls.ts';
import { UsageError } from './exit.ts';
import type { Terminal } from './terminal.ts';

/** Folder of the embedded yard and of the CLI's own memory, beside the pipeline file. */
export const STATE_DIR = '.switchyard';

/** What `switchyard up` leaves for the other commands, in `.switchyard/yard.json`. */
export type YardFile = {
  readonly address: string;
  /** File with the local caller's token. */
  readonly tokenFile: string;
  /** The process that runs the yard. */
  readonly pid: number;
};

export type ServerOptions = {
  readonly server?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsServerName?: string | undefined;
  readonly insecure?: boolean | undefined;
};

/** Where the server is and what to show it; `from` says how we know. */
export type Located = {
  /** `address` may be several, with commas between them. */
  readonly link: Link;
  readonly from: 'option' | 'environment' | 'yard';
};

/**
 * `--server`, else SWITCHYARD_SERVER, else the yard of this directory or one above it; likewise the token.
 * @throws {Fault} PEER_UNAVAILABLE where none of them is there; {UsageError} for a bad address or token file.
 */
export function locateServer(options: ServerOptions, terminal: Terminal): Located {
  const { env } = terminal;
  const named = options.server ?? nonEmpty(env['SWITCHYARD_SERVER']);
  if (named !== undefined) {
    const from = options.server === undefined ? 'environment' : 'option';
    const link = { address: checkAddresses(named), token: tokenOf(options, env), tls: tlsOf(options, env) };
    refuseInClear(link, options.insecure === true || env['SWITCHYARD_INSECURE'] === 'true');
    return { link, from };
  }
  const yard = findYard(terminal.cwd);
  if (yard !== undefined) {
    const token = tokenOf(options, env) ?? readToken(yard.tokenFile);
    return { link: { address: yard.address, token }, from: 'yard' };
  }
  const stopped = findUp(terminal.cwd, (stateDir) =>
    fs.existsSync(path.join(stateDir, 'coordinator')) ? path.dirname(stateDir) : undefined,
  );
  if (stopped !== undefined) {
    throw new Fault('PEER_UNAVAILABLE', `The yard of ${stopped} does not run`, {
      hint: 'Start it with "switchyard up" there (it still has its builds, logs and cache), or name a server with --server HOST:PORT.',
    });
  }
  throw new Fault('PEER_UNAVAILABLE', 'No server is known here', {
    hint: 'Start one with "switchyard up", or name one with --server HOST:PORT or SWITCHYARD_SERVER.',
  });
}

function tokenOf(options: ServerOptions, env: Terminal['env']): Secret | undefined {
  const file = options.tokenFile ?? nonEmpty(env['SWITCHYARD_TOKEN_FILE']);
  if (file !== undefined) return readToken(file);
  const token = nonEmpty(env['SWITCHYARD_TOKEN']);
  return token === undefined ? undefined : new Secret(token);
}

/** @throws {UsageError} where a file is missing or wrong */
function tlsOf(options: ServerOptions, env: Terminal['env']): DialTls | undefined {
  const ca = options.tlsCa ?? nonEmpty(env['SWITCHYARD_TLS_CA']);
  const cert = options.tlsCert ?? nonEmpty(env['SWITCHYARD_TLS_CERT']);
  const key = options.tlsKey ?? nonEmpty(env['SWITCHYARD_TLS_KEY']);
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--tls-cert and --tls-key go together', 'Name both files.');
  if (ca === undefined) return undefined;
  try {
    const source = exchangeableTls(readTlsFiles({ ca: [ca], cert, key }));
    return { source, serverName: options.tlsServerName ?? nonEmpty(env['SWITCHYARD_TLS_SERVER_NAME']) };
  } catch (error) {
    if (!isFault(error, 'CONFIG_INVALID')) throw error;
    throw new UsageError(error.message, 'Name PEM files with --tls-ca, --tls-cert and --tls-key.');
  }
}

/** A token that crossed a network in clear is everybody's. */
function refuseInClear({ address, token, tls }: Link, allowed: boolean): void {
  const far = address.split(',').find((one) => !isLoopback(one));
  if (far === undefined || token === undefined || tls !== undefined || allowed) return;
  throw new UsageError(
    `The token would be sent to ${far} in clear`,
    'Name the authority of its certificate with --tls-ca or SWITCHYARD_TLS_CA, or say --insecure or SWITCHYARD_INSECURE=true.',
  );
}

export function readToken(file: string): Secret {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8').trim();
  } catch (error) {
    const code = codeOf(error) ?? String(error);
    throw new UsageError(`The token file ${file} cannot be read (${code})`, 'Name a file that holds the token and nothing else.');
  }
  if (!/^[\x21-\x7e]{1,4096}$/.test(text))
    throw new UsageError(`The token file ${file} does not hold one token`, 'It must be one line without spaces.');
  return new Secret(text);
}

/** Several addresses have commas between them. */
function checkAddresses(text: string): string {
  return text
    .split(',')
    .map((address) => checkAddress(address.trim()))
    .join(',');
}

function checkAddress(address: string): string {
  const port = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})$/.exec(address)?.[1];
  if (port !== undefined && Number(port) > 0 && Number(port) < 65_536) return address;
  const scheme = /^[a-z]+:\/\//i.test(address) ? ' Leave out the scheme.' : '';
  throw new UsageError(`"${address}" is not an address`, `Write HOST:PORT, such as build.example.com:7433.${scheme}`);
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** The yard file of `directory` or the nearest one above it that has one. */
function findYard(directory: string): YardFile | undefined {
  return findUp(directory, readYardFile);
}

function findUp<T>(directory: string, look: (stateDir: string) => T | undefined): T | undefined {
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const found = look(path.join(at, STATE_DIR));
    if (found !== undefined) return found;
    if (at === path.dirname(at)) return undefined;
  }
}

export function yardFileIn(stateDir: string): string {
  return path.join(stateDir, 'yard.json');
}

/** The yard file in `stateDir`; undefined where there is none or it cannot be trusted: another user may have put it there. */
export function readYardFile(stateDir: string): YardFile | undefined {
  const file = yardFileIn(stateDir);
  try {
    const { uid, mode } = fs.statSync(file);
    const self = process.getuid?.();
    if (self !== undefined && ((uid !== self && uid !== 0) || (mode & 0o022) !== 0)) return undefined;
    const json: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (typeof json !== 'object' || json === null) return undefined;
    const { address, tokenFile, pid } = Object.fromEntries(Object.entries(json));
    if (typeof address !== 'string' || typeof tokenFile !== 'string' || typeof pid !== 'number') return undefined;
    return { address, tokenFile, pid };
  } catch {
    return undefined;
  }
}

import { hostOf, isLoopback } from './address.ts';
import type { Logger } from './log.ts';
import { openServerTls, parseCallerCas, parseZoneCas, type ServerTls } from './server-tls.ts';
import { openTlsFiles, type TlsSource } from './tls-source.ts';

/** How a process makes sure of the servers that it dials. */
export const DIAL_TLS_OPTIONS = {
  tlsCa: {
    type: 'string',
    help:
      'PEM file of the authorities whose servers are trusted, or the word system for those that everybody trusts. With it every connection ' +
      'is made over TLS. Files of TLS are read again when they change.',
  },
  tlsServerName: {
    type: 'string',
    help: 'Name that the certificates of servers must have, where that is not the host that is dialled.',
  },
} as const;

/** What a process shows of itself over TLS. */
export const OWN_TLS_OPTIONS = {
  tlsCert: { type: 'path', help: 'PEM file of the certificate to show over TLS, with those between it and its authority.' },
  tlsKey: { type: 'path', help: 'PEM file of its key.' },
} as const;

/** How a server knows its clients, and that it may do without. */
export const SERVE_TLS_OPTIONS = {
  ...OWN_TLS_OPTIONS,
  zoneCa: {
    type: 'list',
    help:
      'The authority of a zone, as ZONE=FILE of PEM, such as trusted=trusted-ca.pem; may be repeated. A certificate that it signed is the ' +
      'credential of an agent of that zone. Without any, clients show tokens only.',
  },
  callerCa: {
    type: 'list',
    help:
      'An authority that signs certificates of callers, as NAME=FILE of PEM, such as ci=ci-ca.pem; may be repeated. What they may do is in ' +
      '--issuers-file, under that name.',
  },
  agentTokens: {
    type: 'boolean',
    default: 'false',
    help: 'Whether over TLS the token of an agent does, without a certificate.',
  },
  issuersFile: {
    type: 'path',
    help:
      'JSON file of those whose tokens count, such as a CI system (OIDC) or a Kubernetes cluster, and of what the bearers of their tokens may ' +
      'do. Read again when it changes, or a file of keys that it names.',
  },
  insecure: {
    type: 'boolean',
    default: 'false',
    help: 'Whether to listen for others in clear where there is no certificate: whoever sees the network can then read tokens and bytes.',
  },
} as const;

type Own = { readonly tlsCert: string | undefined; readonly tlsKey: string | undefined };
type Authorities = { readonly zoneCa: readonly string[]; readonly callerCa: readonly string[] };
type Dial = { readonly tlsCa: string | undefined };

/** What is wrong with the options as a whole: a flag and its address for each address that is listened on. */
export function serveTlsProblems(
  config: Own & { readonly insecure: boolean } & Authorities & { readonly issuersFile?: string | undefined },
  listens: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const problems = [...ownProblems(config), ...authorityProblems(config)];
  if (config.tlsCert !== undefined || config.insecure) return problems;
  for (const [flag, address] of Object.entries(listens)) {
    if (address === undefined || hostOf(address) === undefined || isLoopback(address)) continue;
    problems.push(`${flag} is ${address}, which others can reach: give --tls-cert and --tls-key, or say --insecure to listen in clear`);
  }
  return problems;
}

/** What is wrong with how others are dialled: `addresses` by the flag that names them, with commas between several. */
export function dialTlsProblems(
  config: Dial & Own & { readonly insecure: boolean },
  addresses: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const problems = [...ownProblems(config)];
  if (config.tlsCa !== undefined || config.insecure) return problems;
  for (const [flag, several] of Object.entries(addresses)) {
    const far = several?.split(',').find((address) => hostOf(address) !== undefined && !isLoopback(address));
    if (far === undefined) continue;
    problems.push(`${flag} is ${far}, on another host: give --tls-ca, or say --insecure to send the token and everything else in clear`);
  }
  return problems;
}

function ownProblems({ tlsCert, tlsKey }: Own): readonly string[] {
  return (tlsCert === undefined) === (tlsKey === undefined) ? [] : ['--tls-cert and --tls-key go together'];
}

function authorityProblems({
  zoneCa,
  callerCa,
  tlsCert,
  issuersFile,
}: Authorities & { readonly tlsCert: string | undefined; readonly issuersFile?: string | undefined }): readonly string[] {
  const problems = zoneCa.length > 0 && tlsCert === undefined ? ['--zone-ca is for TLS: give --tls-cert and --tls-key'] : [];
  if (callerCa.length > 0 && tlsCert === undefined) problems.push('--caller-ca is for TLS: give --tls-cert and --tls-key');
  if (callerCa.length > 0 && issuersFile === undefined)
    problems.push('--caller-ca says who signs, and not what callers may do: give --issuers-file with their rules under "certificates"');
  try {
    parseZoneCas(zoneCa);
    parseCallerCas(callerCa);
    return problems;
  } catch (error) {
    return [...problems, error instanceof Error ? error.message : String(error)];
  }
}

/** @throws {Fault} CONFIG_INVALID naming the file; undefined where connections are in clear */
export function openServeTls({ tlsCert, tlsKey, zoneCa, callerCa }: Own & Authorities, log: Logger): ServerTls | undefined {
  return tlsCert === undefined || tlsKey === undefined ? undefined : openServerTls({ tlsCert, tlsKey, zoneCa, callerCa }, log);
}

/** @throws {Fault} CONFIG_INVALID naming the file; undefined where connections are in clear */
export function openDialTls({ tlsCa, tlsCert, tlsKey }: Dial & Own, log: Logger): (TlsSource & Disposable) | undefined {
  return tlsCa === undefined ? undefined : openTlsFiles({ ca: [tlsCa], cert: tlsCert, key: tlsKey }, log);
}

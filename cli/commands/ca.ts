import fs from 'node:fs';
import path from 'node:path';
import {
  issueCertificate,
  newAuthority,
  newKeyPair,
  validFor,
  type KeyedCertificate,
  type Validity,
} from '../../base/issue-certificate.ts';
import { parseDurationMs, QUANTITY_FORMS } from '../../base/quantity.ts';
import { agentUri, parseAgentUri, parseScalerUri, scalerUri } from '../../base/spiffe.ts';
import { codeOf } from '../../base/thrown.ts';
import { parseZone } from '../../base/zone.ts';
import { EXIT, UsageError } from '../exit.ts';
import { printJson, say, type Session } from '../session.ts';
import { writePrivate } from '../yard/tokens.ts';

export type AuthorityOptions = { readonly dir: string; readonly expires: string };

export type IssueOptions = AuthorityOptions & {
  readonly host?: readonly string[];
  readonly agent?: string;
  readonly scaler?: string;
  readonly domain: string;
  readonly out: string;
};

/** Makes the authority of a zone where there is none. */
export async function createAuthorityCommand(session: Session, zone: string, options: AuthorityOptions): Promise<number> {
  const files = filesOf(zone, options.dir);
  if (fs.existsSync(files.cert) || fs.existsSync(files.key))
    throw new UsageError(
      `There is an authority of the zone ${zone} in ${options.dir}`,
      '"switchyard ca rotate" makes another that takes its place.',
    );
  const made = authority(session, zone, options);
  writePrivate(files.key, made.key);
  writeOpen(files.cert, made.cert);
  return told(
    session,
    { zone, ...files },
    `${files.cert} is the authority of the zone ${zone}: give servers --zone-ca ${zone}=${files.cert}. Keep ${files.key} to yourself.`,
  );
}

/** The new authority comes first, which is the one that signs; those that were there stay behind it. */
export async function rotateAuthorityCommand(session: Session, zone: string, options: AuthorityOptions): Promise<number> {
  const files = filesOf(zone, options.dir);
  const before = read(files.cert);
  const made = authority(session, zone, options);
  // Trusted before it signs: whoever reads between the two finds a key that fits no certificate, and keeps what it has.
  writeOpen(files.cert, `${made.cert}${before}`);
  writePrivate(files.key, made.key);
  return told(
    session,
    { zone, ...files },
    `A new authority signs for the zone ${zone}. Once nobody shows what the old one signed: "switchyard ca retire ${zone}".`,
  );
}

export async function retireAuthorityCommand(session: Session, zone: string, options: Pick<AuthorityOptions, 'dir'>): Promise<number> {
  const files = filesOf(zone, options.dir);
  const [newest, ...older] = certificatesIn(files.cert);
  if (newest === undefined || older.length === 0)
    throw new UsageError(`${files.cert} has one authority only`, 'There is nothing to retire: "switchyard ca rotate" comes first.');
  writeOpen(files.cert, newest);
  return told(session, { zone, ...files, retired: older.length }, `Only the newest authority of the zone ${zone} is trusted now`);
}

/** Makes a key and its certificate. */
export async function issueCommand(session: Session, zone: string, options: IssueOptions): Promise<number> {
  const { host: hosts = [], out } = options;
  const files = filesOf(zone, options.dir);
  const [cert] = certificatesIn(files.cert);
  if (cert === undefined) throw new UsageError(`${files.cert} has no certificate`, '"switchyard ca create" makes one.');
  if (options.agent !== undefined && options.scaler !== undefined) throw new UsageError('--agent and --scaler exclude each other');
  const { agent, scaler, domain } = options;
  const uri = agent !== undefined ? uriOf(zone, agent, domain) : scaler === undefined ? undefined : uriOfScaler(zone, scaler, domain);
  if (uri === undefined && hosts.length === 0)
    throw new UsageError(
      'A certificate needs a name',
      'Write --host NAME for a server, --agent CLUSTER/POOL/ID, or --scaler CLUSTER/NAME.',
    );
  const { key, publicKey } = newKeyPair();
  const names = { hosts, ...(uri === undefined ? {} : { uri }) };
  const issued = issueCertificate({ cert, key: read(files.key) }, publicKey, names, validity(session, options.expires));
  writePrivate(`${out}.key`, key);
  writeOpen(`${out}.crt`, issued);
  return told(session, { cert: `${out}.crt`, key: `${out}.key`, ...names }, `${out}.crt and ${out}.key are for ${uri ?? hosts.join(', ')}`);
}

function uriOf(zone: string, agent: string, domain: string): string {
  const [cluster = '', pool = '', id = '', more] = agent.split('/');
  const known = parseZone(zone);
  const uri = known === undefined ? '' : agentUri(domain, { zone: known, cluster, pool, id });
  if (more === undefined && parseAgentUri(uri) !== undefined) return uri;
  throw new UsageError(`"${agent}" names no agent`, 'Write --agent CLUSTER/POOL/ID, such as edge-1/edge/node-7; ids are lower-case.');
}

function uriOfScaler(zone: string, scaler: string, domain: string): string {
  const [cluster = '', name = '', more] = scaler.split('/');
  const known = parseZone(zone);
  const uri = known === undefined ? '' : scalerUri(domain, { zone: known, cluster, name });
  if (more === undefined && parseScalerUri(uri) !== undefined) return uri;
  throw new UsageError(`"${scaler}" names no autoscaler`, 'Write --scaler CLUSTER/NAME, such as main/keda; names are lower-case.');
}

function authority(session: Session, zone: string, { expires }: AuthorityOptions): KeyedCertificate {
  const valid = validity(session, expires);
  // Two authorities of a zone have names of their own, so that it shows which one signed.
  return newAuthority(`Switchyard zone ${zone} ${new Date(valid.from).toISOString()}`, valid);
}

function validity(session: Session, expires: string): Validity {
  const lifeMs = parseDurationMs(expires);
  if (lifeMs === undefined || lifeMs === 0)
    throw new UsageError(`--expires "${expires}" is no duration`, `Write ${QUANTITY_FORMS.duration}.`);
  return validFor(session.terminal.clock.now(), lifeMs);
}

function filesOf(zone: string, dir: string): { readonly cert: string; readonly key: string } {
  return { cert: path.join(dir, `${zone}-ca.pem`), key: path.join(dir, `${zone}-ca.key`) };
}

function certificatesIn(file: string): readonly string[] {
  return [...read(file).matchAll(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n?/g)].map(([block]) => block);
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${file} cannot be read (${codeOf(error) ?? String(error)})`,
      'Name its directory with --dir; "switchyard ca create" makes an authority.',
    );
  }
}

/** As a whole, for processes that read it meanwhile, and for everybody: certificates are no secret. */
function writeOpen(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, text, { mode: 0o644 });
  fs.renameSync(temporary, file);
}

function told(session: Session, facts: object, text: string): number {
  if (session.json) printJson(session, facts);
  else say(session, text);
  return EXIT.ok;
}

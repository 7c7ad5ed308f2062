import fs from 'node:fs';
import { hashToken, nameOf, parseTokens, type TokenEntry } from '../../base/auth.ts';
import { isFault } from '../../base/fault.ts';
import { parseDurationMs, QUANTITY_FORMS } from '../../base/quantity.ts';
import { didYouMean } from '../../base/suggest.ts';
import { codeOf } from '../../base/thrown.ts';
import { EXIT, UsageError } from '../exit.ts';
import { printJson, printLines, say, type Session } from '../session.ts';
import { columns } from '../view/format.ts';
import { newToken } from '../yard/tokens.ts';

export type TokenOptions = {
  readonly kind: 'caller' | 'agent' | 'service';
  readonly role?: string;
  readonly project?: string;
  readonly scope: string;
  readonly zone: string;
  readonly cluster: string;
  readonly pool?: string;
  readonly file?: string;
  readonly expires?: string;
};

/** Makes a token, whose entry goes into the tokens file where one is named. The token is shown this once and kept nowhere. */
export async function createTokenCommand(session: Session, name: string, options: TokenOptions): Promise<number> {
  const token = newToken();
  const entry = { name, sha256: hashToken(token), kind: options.kind, ...fieldsOf(options), ...expiryOf(session, options) };
  try {
    parseTokens(JSON.stringify([entry]));
  } catch (error) {
    if (!isFault(error, 'CONFIG_INVALID')) throw error;
    throw new UsageError(error.message.replace(/^Tokens file: entry 1, /, ''), 'See "switchyard token create --help".');
  }
  const { file } = options;
  if (file !== undefined) addTo(file, name, entry);
  if (session.json) printJson(session, { token, entry });
  else {
    say(session, 'The token, for SWITCHYARD_TOKEN or a token file (it is not shown again):');
    session.terminal.stdout.write(`${token}\n`);
    if (file !== undefined) say(session, `Its entry is in ${file}; a running coordinator knows it within seconds.`);
    else {
      say(session, "Its entry, for the array in the coordinator's tokens file (--tokens-file):");
      session.terminal.stdout.write(`${JSON.stringify(entry)}\n`);
    }
  }
  return EXIT.ok;
}

/** Lists whom the tokens of a file stand for, without anything that would open something. */
export async function listTokensCommand(session: Session, file: string): Promise<number> {
  const entries = read(file).entries;
  const now = session.terminal.clock.now();
  if (session.json) {
    printJson(
      session,
      entries.map(({ sha256, identity, expiresAt }) => ({ ...identity, sha256, expiresAt, expired: isOver(expiresAt, now) })),
    );
    return EXIT.ok;
  }
  const [head = '', ...rows] = columns([
    ['NAME', 'KIND', 'MAY', 'OF', 'ZONE', 'EXPIRES'],
    ...entries.map(({ identity, expiresAt }) => [nameOf(identity), identity.kind, ...rightsOf(identity), expiryText(expiresAt, now)]),
  ]);
  printLines(session, entries.length === 0 ? ['No tokens.'] : [session.style.bold(head), ...rows]);
  return EXIT.ok;
}

/** Takes all entries of that name out of the file. */
export async function revokeTokenCommand(session: Session, name: string, file: string): Promise<number> {
  const { raw, entries } = read(file);
  const left = raw.filter((_, index) => nameAt(entries, index) !== name);
  if (left.length === raw.length) {
    const hint = didYouMean(name, entries.map(({ identity }) => nameOf(identity)).values());
    throw new UsageError(`No token "${name}" is in ${file}${hint}`, '"switchyard token list" shows them.');
  }
  write(file, left);
  if (session.json) printJson(session, { name, revoked: raw.length - left.length });
  else say(session, `${name} is revoked: running coordinators and data planes refuse it within seconds`);
  return EXIT.ok;
}

function addTo(file: string, name: string, entry: object): void {
  const { raw, entries } = fs.existsSync(file) ? read(file) : { raw: [], entries: [] };
  if (entries.some(({ identity }) => nameOf(identity) === name))
    throw new UsageError(`A token "${name}" is in ${file} already`, `Take another name, or "switchyard token revoke ${name}" first.`);
  write(file, [...raw, entry]);
}

type TokensFile = { readonly raw: readonly unknown[]; readonly entries: readonly TokenEntry[] };

/** The file's entries as they stand there, and what they mean. @throws {UsageError} where it cannot be read or is wrong */
function read(file: string): TokensFile {
  try {
    const text = fs.readFileSync(file, 'utf8');
    const entries = parseTokens(text);
    return { raw: JSON.parse(text) as readonly unknown[], entries }; // an array, as it parsed
  } catch (error) {
    const why = isFault(error) ? error.message : `it cannot be read (${codeOf(error) ?? String(error)})`;
    throw new UsageError(`${file}: ${why}`, 'Name the tokens file of the coordinator.');
  }
}

/** Whole or not at all, for coordinators that read it meanwhile; as open to others as it was. */
function write(file: string, raw: readonly unknown[]): void {
  const mode = fs.existsSync(file) ? fs.statSync(file).mode & 0o777 : 0o600;
  const temporary = `${file}.${process.pid}.new`;
  fs.writeFileSync(temporary, `[\n${raw.map((entry) => `  ${JSON.stringify(entry)}`).join(',\n')}\n]\n`, { mode });
  fs.renameSync(temporary, file);
}

function nameAt(entries: readonly TokenEntry[], index: number): string | undefined {
  const entry = entries[index];
  return entry === undefined ? undefined : nameOf(entry.identity);
}

function rightsOf(identity: TokenEntry['identity']): readonly [string, string, string] {
  switch (identity.kind) {
    case 'caller': {
      const { role, project, scope, zoneCeiling } = identity.caller;
      return [role, `${project}/${scope}`, `up to ${zoneCeiling}`];
    }
    case 'agent':
      return ['run steps', `${identity.cluster}/${identity.pool}`, identity.zone];
    default:
      return ['all', 'the yard', ''];
  }
}

function isOver(expiresAt: number | undefined, now: number): boolean {
  return expiresAt !== undefined && now >= expiresAt;
}

function expiryText(expiresAt: number | undefined, now: number): string {
  if (expiresAt === undefined) return 'never';
  return `${isOver(expiresAt, now) ? 'expired ' : ''}${new Date(expiresAt).toISOString()}`;
}

function expiryOf(session: Session, { expires }: TokenOptions): { readonly expiresAt?: string } {
  if (expires === undefined) return {};
  const lasts = parseDurationMs(expires);
  if (lasts === undefined || lasts === 0)
    throw new UsageError(`--expires "${expires}" is no duration`, `Write ${QUANTITY_FORMS.duration}.`);
  return { expiresAt: new Date(session.terminal.clock.now() + lasts).toISOString() };
}

function fieldsOf(options: TokenOptions): Readonly<Record<string, string>> {
  const needed = (flag: string, value: string | undefined): string => {
    if (value !== undefined) return value;
    throw new UsageError(`A token of kind ${options.kind} needs --${flag}`, `Write --${flag} NAME.`);
  };
  switch (options.kind) {
    case 'caller':
      return {
        role: options.role ?? 'submitter',
        project: needed('project', options.project),
        scope: options.scope,
        zoneCeiling: options.zone,
      };
    case 'agent':
      return { cluster: options.cluster, pool: needed('pool', options.pool), zone: options.zone };
    case 'service':
      return {};
  }
}

import { hashToken, parseTokens } from '../../base/auth.ts';
import { isFault } from '../../base/fault.ts';
import { EXIT, UsageError } from '../exit.ts';
import { printJson, say, type Session } from '../session.ts';
import { newToken } from '../yard/tokens.ts';

export type TokenOptions = {
  readonly kind: 'caller' | 'agent' | 'service';
  readonly role?: string;
  readonly project?: string;
  readonly scope: string;
  readonly zone: string;
  readonly cluster: string;
  readonly pool?: string;
};

/** Makes a token and the entry for the coordinator's tokens file. The token is shown this once and kept nowhere. */
export async function tokenCommand(session: Session, name: string, options: TokenOptions): Promise<number> {
  const token = newToken();
  const entry = { name, sha256: hashToken(token), kind: options.kind, ...fieldsOf(options) };
  try {
    parseTokens(JSON.stringify([entry]));
  } catch (error) {
    if (!isFault(error, 'CONFIG_INVALID')) throw error;
    throw new UsageError(error.message.replace(/^Tokens file: entry 1, /, ''), 'See "switchyard token --help".');
  }
  if (session.json) printJson(session, { token, entry });
  else {
    say(session, 'The token, for SWITCHYARD_TOKEN or a token file (it is not shown again):');
    session.terminal.stdout.write(`${token}\n`);
    say(session, "Its entry, for the array in the coordinator's tokens file (--tokens-file):");
    session.terminal.stdout.write(`${JSON.stringify(entry)}\n`);
  }
  return EXIT.ok;
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

import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashToken, parseTokens, type Identity, type TokenEntry } from '../base/auth.ts';
import { wrap } from '../base/fault.ts';
import { Secret } from '../base/secret.ts';
import { keptFile } from './kept-file.ts';

/** Who may connect, and what the processes that the coordinator starts show of themselves. */
export type Tokens = {
  readonly entries: readonly TokenEntry[];
  /** The coordinator's own, towards the data plane. New at every start. */
  readonly service: Secret;
  /** The entries with the service's, for the data plane; a file of mode 0600 that holds hashes only. */
  readonly dataTokensFile: string;
  /** Writes that file: before each start of the data plane, for another coordinator that was refused may have written its own. */
  readonly writeDataTokens: () => Promise<void>;
  /** Reads the tokens file again, and writes the data plane's anew. @throws {Fault} CONFIG_INVALID; nothing has changed then */
  readonly reread: () => Promise<readonly TokenEntry[]>;
};

export type TokensOptions = {
  readonly stateDir: string;
  readonly tokensFile: string | undefined;
  /** The directory in whose `agent-token` a token for agents of this host is kept; undefined for none. */
  readonly localAgentsDir: string | undefined;
};

/** What agents with the host's own token are. */
const LOCAL_AGENT: Identity = { kind: 'agent', name: 'local-agent', cluster: 'local', pool: 'default', zone: 'trusted' };

/** @throws {Fault} CONFIG_INVALID where the tokens file cannot be read or is wrong. */
export async function openTokens(options: TokensOptions): Promise<Tokens> {
  const local: TokenEntry[] = [];
  if (options.localAgentsDir !== undefined) {
    const path = join(options.localAgentsDir, 'agent-token');
    // The same after a restart, and for every coordinator that shares the directory.
    const token = await keptFile(path, newToken, (text) => /^[0-9a-f]{64}$/.test(text));
    local.push({ sha256: hashToken(token), identity: LOCAL_AGENT });
  }
  const read = async () => [...(options.tokensFile === undefined ? [] : await readTokens(options.tokensFile)), ...local];
  const entries = await read();
  const service = newToken();
  const dataTokensFile = join(options.stateDir, 'data-tokens.json');
  const own: TokenEntry = { sha256: hashToken(service), identity: { kind: 'service', name: 'coordinator' } };
  let text = formatTokens([...entries, own]);
  const writeDataTokens = () => writePrivate(dataTokensFile, text);
  return {
    entries,
    service: new Secret(service),
    dataTokensFile,
    writeDataTokens,
    async reread() {
      const fresh = await read();
      text = formatTokens([...fresh, own]);
      await writeDataTokens();
      return fresh;
    },
  };
}

/** Entries as a tokens file: what `parseTokens` reads. */
export function formatTokens(entries: readonly TokenEntry[]): string {
  const lines = entries.map(({ sha256, identity, expiresAt }) => {
    const expires = expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() };
    if (identity.kind === 'caller') return { sha256, kind: identity.kind, ...identity.caller, ...expires };
    return { sha256, ...identity, ...expires };
  });
  return `${JSON.stringify(lines, undefined, 2)}\n`;
}

async function readTokens(path: string): Promise<readonly TokenEntry[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw wrap(error, `Reading the tokens file ${path}`);
  }
  return parseTokens(text);
}

function newToken(): string {
  return randomBytes(32).toString('hex');
}

/** Whole or not at all, for whoever reads it meanwhile. */
async function writePrivate(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600); // the mode above is for new files only
  await rename(temporary, path);
}

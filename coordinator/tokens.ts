import { randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
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
  const entries = options.tokensFile === undefined ? [] : [...(await readTokens(options.tokensFile))];
  if (options.localAgentsDir !== undefined) {
    const path = join(options.localAgentsDir, 'agent-token');
    // The same after a restart, and for every coordinator that shares the directory.
    const token = await keptFile(path, newToken, (text) => /^[0-9a-f]{64}$/.test(text));
    entries.push({ sha256: hashToken(token), identity: LOCAL_AGENT });
  }
  const service = newToken();
  const dataTokensFile = join(options.stateDir, 'data-tokens.json');
  const text = formatTokens([...entries, { sha256: hashToken(service), identity: { kind: 'service', name: 'coordinator' } }]);
  return { entries, service: new Secret(service), dataTokensFile, writeDataTokens: () => writePrivate(dataTokensFile, text) };
}

/** Entries as a tokens file: what `parseTokens` reads. */
export function formatTokens(entries: readonly TokenEntry[]): string {
  const lines = entries.map(({ sha256, identity }) => {
    if (identity.kind === 'caller') return { sha256, kind: identity.kind, ...identity.caller };
    return { sha256, ...identity };
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

async function writePrivate(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, 0o600); // the mode above is for new files only
}

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { hashToken } from '../../base/auth.ts';

/** An agent of the embedded yard. */
export type YardAgent = { readonly name: string; readonly role: 'edge' | 'central'; readonly slots: number };

export type YardTokens = {
  /** The hashes, for the coordinator. */
  readonly tokensFile: string;
  /** The local caller's token. */
  readonly callerFile: string;
  readonly agentFile: (name: string) => string;
};

/** A new token: 256 random bits. */
export function newToken(): string {
  return `sy_${randomBytes(32).toString('base64url')}`;
}

/** Makes fresh tokens for the local caller and the agents, each in a file of its own that only we can read. */
export function writeYardTokens(dir: string, agents: readonly YardAgent[]): YardTokens {
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const fileOf = (name: string) => path.join(dir, `${name}.token`);
  const entry = (name: string, who: Readonly<Record<string, string>>) => {
    const token = newToken();
    writePrivate(fileOf(name), `${token}\n`);
    return { name, sha256: hashToken(token), ...who };
  };
  const entries = [
    entry('local', { kind: 'caller', role: 'admin', project: 'local', scope: 'main', zoneCeiling: 'trusted' }),
    ...agents.map(({ name, role }) => entry(name, { kind: 'agent', cluster: 'local', pool: role, zone: 'trusted' })),
  ];
  const tokensFile = path.join(dir, 'tokens.json');
  writePrivate(tokensFile, `${JSON.stringify(entries, undefined, 2)}\n`);
  return { tokensFile, callerFile: fileOf('local'), agentFile: fileOf };
}

/** Writes a file as a whole that only its owner can read. */
export function writePrivate(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, text, { mode: 0o600 });
  fs.renameSync(temporary, file);
}

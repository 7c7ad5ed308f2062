import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken, parseTokens } from '../base/auth.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { formatTokens, openTokens } from './tokens.ts';

const FILE = [
  { name: 'ci', sha256: hashToken('c'), kind: 'caller', role: 'submitter', project: 'shop', scope: 'main', zoneCeiling: 'trusted' },
  { name: 'edge', sha256: hashToken('a'), kind: 'agent', cluster: 'c1', pool: 'edge', zone: 'untrusted' },
  { name: 'other', sha256: hashToken('s'), kind: 'service', expiresAt: '2027-01-31T12:00:00+01:00' },
];

test('what is written for the data plane reads as the same entries, and the service beside them', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'tokens.json');
  await writeFile(path, JSON.stringify(FILE));
  const tokens = await openTokens({ stateDir: dir.path, tokensFile: path, localAgentsDir: undefined });
  expect(tokens.entries).toEqual(parseTokens(JSON.stringify(FILE)));
  await tokens.writeDataTokens();
  const forData = parseTokens(await readFile(tokens.dataTokensFile, 'utf8'));
  expect(forData.slice(0, -1)).toEqual(tokens.entries);
  expect(forData.at(-1)).toEqual({ sha256: hashToken(tokens.service.reveal()), identity: { kind: 'service', name: 'coordinator' } });
  expect((await stat(tokens.dataTokensFile)).mode & 0o777).toBe(0o600);
  expect(await readFile(tokens.dataTokensFile, 'utf8')).not.toContain(tokens.service.reveal());
});

test('agents of the host find the same token after a restart', async () => {
  await using dir = await tempDir();
  const options = { stateDir: dir.path, tokensFile: undefined, localAgentsDir: dir.path };
  const [first] = (await openTokens(options)).entries;
  const [second] = (await openTokens(options)).entries;
  expect(second).toEqual(first);
  const text = (await readFile(join(dir.path, 'agent-token'), 'utf8')).trim();
  expect(first).toMatchObject({ sha256: hashToken(text), identity: { kind: 'agent', zone: 'trusted' } });
  expect((await stat(join(dir.path, 'agent-token'))).mode & 0o777).toBe(0o600);
});

test('a tokens file that is missing or wrong is refused', async () => {
  await using dir = await tempDir();
  const open = (tokensFile: string) => openTokens({ stateDir: dir.path, tokensFile, localAgentsDir: undefined });
  await expect(open(join(dir.path, 'none.json'))).rejects.toThrow('Reading the tokens file');
  const path = join(dir.path, 'bad.json');
  await writeFile(path, formatTokens([]).replace('[]', '[{"name": "x"}]'));
  await expect(open(path)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('a tokens file that has changed is read again, and one that is wrong by now changes nothing', async () => {
  await using dir = await tempDir();
  const path = join(dir.path, 'tokens.json');
  await writeFile(path, JSON.stringify(FILE));
  const tokens = await openTokens({ stateDir: dir.path, tokensFile: path, localAgentsDir: undefined });
  await writeFile(path, JSON.stringify(FILE.slice(1)));
  expect(await tokens.reread()).toEqual(parseTokens(JSON.stringify(FILE.slice(1))));
  const forData = await readFile(tokens.dataTokensFile, 'utf8');
  expect(parseTokens(forData)).toHaveLength(FILE.length);
  expect(forData).toContain(hashToken(tokens.service.reveal()));
  await writeFile(path, '[');
  await expect(tokens.reread()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(await readFile(tokens.dataTokensFile, 'utf8')).toBe(forData);
});

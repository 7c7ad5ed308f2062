import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../base/auth.ts';
import { systemClock } from '../base/clock.ts';
import { memoryLogger } from '../base/log.ts';
import { Secret } from '../base/secret.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { until } from '../test/fixtures/until.ts';
import { parseCacheConfig } from './config.ts';
import { digestOf } from './digest.ts';
import { openDataPlane } from './rpc/client.ts';
import { startCache } from './start.ts';

const signal = new AbortController().signal;
const entry = (token: string) => ({ name: token, sha256: hashToken(token), kind: 'service' });

test('a token that comes into the file is let in, one that left is not, and a broken file changes nothing', async () => {
  await using dir = await tempDir();
  const tokens = join(dir.path, 'tokens.json');
  await writeFile(tokens, JSON.stringify([entry('old')]));
  const env = { log: memoryLogger(), clock: systemClock };
  const argv = ['--listen', '127.0.0.1:0', '--dir', join(dir.path, 'blobs'), '--tokens-file', tokens];
  await using cache = await startCache(parseCacheConfig({}, argv), env);
  const asks = async (token: string) => {
    await using data = openDataPlane({ link: { address: cache.address, token: new Secret(token) }, instanceName: 'p/main', env });
    return await data.store.findMissing([digestOf(Buffer.from('x'))], signal);
  };
  await asks('old');
  await expect(asks('new')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await writeFile(tokens, JSON.stringify([entry('new')]));
  await until('the new one is let in', () => asks('new'));
  await expect(asks('old')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await writeFile(tokens, '[');
  await until('the broken file is noticed', () => env.log.entries.some(({ event }) => event === 'tokens-not-reread'));
  await asks('new');
});

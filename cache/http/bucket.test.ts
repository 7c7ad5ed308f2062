import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { startFakeS3 } from '../../test/fixtures/fake-s3.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { parseCacheConfig } from '../config.ts';
import { startCache } from '../start.ts';

test('what a tool stores in a bucket is there after a restart without the local tier', async () => {
  await using s3 = await startFakeS3();
  await using dir = await tempDir();
  const tokens = join(dir.path, 'tokens.json');
  const caller = { name: 'ci', kind: 'caller', role: 'submitter', project: 'web', scope: 'main', zoneCeiling: 'trusted' };
  await writeFile(tokens, JSON.stringify([{ ...caller, sha256: hashToken('ci') }]));
  const { accessKeyId, secretAccessKey } = s3.traits.keys;
  const start = async (place: string) => {
    const listens = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0', '--tokens-file', tokens];
    const store = ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket, '--s3-access-key-id', accessKeyId];
    const places = ['--dir', join(dir.path, place), '--signing-key-file', join(dir.path, 'keys.pem')];
    const config = parseCacheConfig({ SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: secretAccessKey }, [...listens, ...store, ...places]);
    return startCache(config, { log: memoryLogger(), clock: systemClock });
  };
  const ask = (address: string | undefined, path: string, body?: Buffer) =>
    fetch(`http://${address}${path}`, {
      headers: { authorization: 'Bearer ci', 'x-artifact-tag': 'signed' },
      ...(body === undefined ? {} : { method: 'PUT', body }),
    });
  const bodies = [Buffer.from('small'), randomBytes(3_000_000)];
  {
    await using first = await start('first');
    for (const [index, body] of bodies.entries()) expect((await ask(first.httpAddress, `/v8/artifacts/${index}`, body)).status).toBe(202);
    expect((await ask(first.httpAddress, '/v1/cache/1', bodies[0])).status).toBe(200);
    expect((await ask(first.httpAddress, '/v1/cache/1', bodies[1])).status).toBe(409);
  }
  await using second = await start('second');
  for (const [index, body] of bodies.entries()) {
    // Its index is made anew from the bucket, beside its first answers.
    const found = await until('it is known again', async () => {
      const answer = await ask(second.httpAddress, `/v8/artifacts/${index}`);
      return answer.ok ? answer : undefined;
    });
    expect([found.status, found.headers.get('x-artifact-tag')]).toEqual([200, 'signed']);
    expect(Buffer.from(await found.arrayBuffer()).equals(body)).toBe(true);
  }
});

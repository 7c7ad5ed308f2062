import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { parseCacheConfig } from '../../cache/config.ts';
import { startCache } from '../../cache/start.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import type { Endpoint } from './session.ts';

export interface EmbeddedServer extends AsyncDisposable {
  readonly endpoint: Endpoint;
}

/** A data plane of ours on loopback, with a caller that writes and one that reads. */
export async function startEmbedded(): Promise<EmbeddedServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const callerOf = (name: string, role: string) => {
    return { name, sha256: hashToken(name), kind: 'caller', role, project: 'web', scope: 'main', zoneCeiling: 'trusted' };
  };
  const tokens = join(dir.path, 'tokens.json');
  await writeFile(tokens, JSON.stringify([callerOf('writer', 'submitter'), callerOf('reader', 'viewer')]));
  const argv = ['--listen', '127.0.0.1:0', '--dir', join(dir.path, 'blobs'), '--tokens-file', tokens];
  const cache = stack.use(await startCache(parseCacheConfig({}, argv), { log: silentLogger, clock: systemClock }));
  const held = stack.move();
  return {
    endpoint: { address: cache.address, instance: 'web/main', token: 'writer', readerToken: 'reader' },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { until } from '../../test/fixtures/until.ts';
import { parseCacheConfig } from '../config.ts';
import { startCache, type RunningCache } from '../start.ts';
import { openRefusalFeed } from './refusal-feed.ts';

const signal = new AbortController().signal;
const log = memoryLogger();
const env = { log, clock: systemClock };
let stack: AsyncDisposableStack;
let cache: RunningCache;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir()).path;
  await writeFile(join(dir, 'tokens.json'), JSON.stringify([{ name: 'svc', sha256: hashToken('svc'), kind: 'service' }]));
  const argv = ['--listen', '127.0.0.1:0', '--dir', join(dir, 'blobs'), '--tokens-file', join(dir, 'tokens.json')];
  cache = stack.use(await startCache(parseCacheConfig({}, argv), { log: memoryLogger(), clock: systemClock }));
});
afterEach(() => stack.disposeAsync());

const link = (token: string) => ({ address: cache.address, token: new Secret(token) });

/** A call that the data plane refuses. */
async function beRefused(): Promise<void> {
  const client = dial(loadProto().build.bazel.remote.execution.v2.Capabilities, link('nobody'), 'control');
  await expect(callUnary(client, 'getCapabilities', {}, { signal })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  client.close();
}

test('what was refused while the record was away is kept once it is back, and once only', { timeout: 60_000 }, async () => {
  const kept: number[] = [];
  let isAway = true;
  let tries = 0;
  const keep = (refusals: readonly { readonly count: number }[]) => {
    tries += 1;
    if (isAway) return Promise.reject(new Fault('LEDGER_UNAVAILABLE', 'away'));
    kept.push(...refusals.map(({ count }) => count));
    return Promise.resolve();
  };
  await using _feed = openRefusalFeed({ link: link('svc'), keep, env, everyMs: 10 });
  await beRefused();
  await until('it was tried in vain, and again', () => tries >= 3);
  await beRefused();
  expect(log.entries.filter(({ event }) => event === 'refusals-not-kept')).toHaveLength(1);
  isAway = false;
  await until('both are kept', () => kept.reduce((sum, count) => sum + count, 0) === 2);
  const before = tries;
  await beRefused();
  await until('the next one is', () => tries > before && kept.length > 2);
  expect(kept.reduce((sum, count) => sum + count, 0)).toBe(3);
});

test('its end brings what was refused just before', { timeout: 60_000 }, async () => {
  const kept: string[] = [];
  const keep = (refusals: readonly { readonly note: { readonly subject: string } }[]) => {
    kept.push(...refusals.map(({ note }) => note.subject));
    return Promise.resolve();
  };
  const feed = openRefusalFeed({ link: link('svc'), keep, env, everyMs: 3_600_000 });
  await beRefused();
  await feed[Symbol.asyncDispose]();
  expect(kept).toEqual(['build.bazel.remote.execution.v2.Capabilities/GetCapabilities']);
});

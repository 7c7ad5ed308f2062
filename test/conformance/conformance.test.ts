import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { serve } from '../../proto/serve.ts';
import { anybody } from '../fixtures/anybody.ts';
import { PATIENCE_MS } from '../fixtures/until.ts';
import { ROOT } from '../fixtures/root.ts';
import { startEmbedded } from './embedded.ts';
import { renderReport } from './report.ts';
import { runSuite } from './suite.ts';

test('a yard conforms in all that it advertises, as docs/conformance.md says', { timeout: 3 * PATIENCE_MS }, async () => {
  await using server = await startEmbedded();
  const findings = await runSuite(server.endpoint);
  const ids = findings.map(({ check }) => check.id);
  expect(new Set(ids).size, 'each check has a name of its own').toBe(ids.length);
  const deviating = findings.filter(({ verdict }) => verdict.kind !== 'holds');
  expect(deviating.map(({ check, verdict }) => ({ id: check.id, ...verdict }))).toEqual([]);
  expect(renderReport('a yard of this repository', findings)).toBe(readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8'));
});

test('of a server that says that it can do all and does nothing, no check but those of what it says holds', async () => {
  const { service: definition } = loadProto().build.bazel.remote.execution.v2.Capabilities;
  const answer = {
    cacheCapabilities: {
      digestFunctions: ['SHA256'],
      actionCacheUpdateCapabilities: { updateEnabled: true },
      maxBatchTotalSizeBytes: '1000000',
      supportedCompressors: ['ZSTD'],
      supportedBatchUpdateCompressors: ['ZSTD'],
      splitBlobSupport: true,
      spliceBlobSupport: true,
    },
    lowApiVersion: { major: 2 },
    highApiVersion: { major: 2, minor: 11 },
  };
  const env = { log: silentLogger, clock: systemClock };
  const handlers = { GetCapabilities: unary(env, 'GetCapabilities', async () => answer) };
  await using server = await serve({
    listen: '127.0.0.1:0',
    services: [{ definition, handlers }],
    authenticator: anybody(),
    env,
    drainMs: 0,
  });
  const findings = await runSuite({ address: server.address, instance: '', token: 'writer', readerToken: 'reader' });
  expect(findings.filter(({ verdict }) => verdict.kind === 'holds').map(({ check }) => check.id)).toEqual([
    'capabilities-version-2.0',
    'capabilities-sha256',
    'moon-batch-limit-zero',
    'capabilities-both-compressors',
    'capabilities-update-enabled',
  ]);
});

test('a server without a credential that fits is no subject', async () => {
  await using server = await startEmbedded();
  await expect(runSuite({ ...server.endpoint, token: 'unknown' })).rejects.toThrow(/UNAUTHENTICATED/);
});

import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import type { BuildHandlers } from '../../proto/gen/switchyard/v1/Build.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { serve } from '../../proto/serve.ts';
import { anybody } from '../../test/fixtures/anybody.ts';
import { connectBuildServer } from './client.ts';

const env = { log: silentLogger, clock: systemClock };
const signal = new AbortController().signal;

/** A server whose lists go on as `next` says. */
async function listing(next: (pageToken: string) => string) {
  const handlers: Pick<BuildHandlers, 'ListBuilds' | 'GetBuild'> = {
    ListBuilds: unary(env, 'ListBuilds', async ({ pageToken }) => ({ builds: [], nextPageToken: next(pageToken) })),
    GetBuild: unary(env, 'GetBuild', async ({ buildId, pageToken }) => ({
      build: { id: buildId, phase: 'BUILD_PHASE_RUNNING' as const },
      steps: [],
      nextPageToken: next(pageToken),
    })),
  };
  const services = [{ definition: loadProto().switchyard.v1.Build.service, handlers }];
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await serve({ listen: '127.0.0.1:0', services, authenticator: anybody('caller'), env, drainMs: 100 }));
  const client = stack.use(connectBuildServer({ address: server.address, token: undefined }));
  const parts = stack.move();
  return { client, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const filter = { labels: {}, phase: undefined, verdict: undefined, limit: 1_000 };

test('a list whose pages go round in a circle ends with an error that names the page', async () => {
  await using at = await listing((page) => (page === 'a' ? 'b' : 'a'));
  await expect(at.client.list(filter, signal)).rejects.toMatchObject({
    code: 'INTERNAL',
    message: expect.stringContaining('page "a" twice'),
  });
  await expect(at.client.snapshot('b-1', signal)).rejects.toMatchObject({ message: expect.stringContaining('its list does not end') });
});

test('a list that never ends ends with an error', async () => {
  let page = 0;
  await using at = await listing(() => String((page += 1)));
  await expect(at.client.list(filter, signal)).rejects.toMatchObject({ message: expect.stringMatching(/more than [\d,]+ pages/) });
});

test('a list of several pages is read to its end', async () => {
  await using at = await listing((page) => (page === 'b' ? '' : page === 'a' ? 'b' : 'a'));
  expect(await at.client.list(filter, signal)).toEqual([]);
});

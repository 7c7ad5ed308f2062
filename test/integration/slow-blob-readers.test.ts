import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { digestOf, hashOf, sizeOf } from '../../cache/digest.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { loadProto } from '../../proto/load.ts';
import { grpcFrame } from '../bench/reapi/grpc-load.ts';
import { readAll } from '../contract/blob-store.ts';
import { peakMemoryOf } from '../e2e/processes.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS } from '../fixtures/until.ts';

const { signal } = new AbortController();
const MIB = 1024 * 1024;
const READERS = 200;
const CONNECTIONS = 4;
/** Two pieces of 256 KiB on their way, one that was read ahead and one that is checked, and what V8 leaves lying about. */
const MORE_BYTES = READERS * 2 * MIB;

test(
  '200 clients that ask for 64 MiB and read nothing hold little memory, and keep nobody else waiting',
  { timeout: 180_000 },
  async () => {
    await using stack = new AsyncDisposableStack();
    const dir = stack.use(await tempDir());
    const args = ['--listen', '127.0.0.1:0', '--dir', dir.path, '--allow-local', '--local-project', 'web'];
    const running = stack.use(startNode([join(ROOT, 'cache/main.ts'), ...args]));
    const address = String((await running.ready(PATIENCE_MS))['address']);
    const env = { log: silentLogger, clock: systemClock };
    const { store } = stack.use(openDataPlane({ link: { address, token: undefined }, instanceName: '', env }));
    const bytes = randomBytes(64 * MIB);
    const digest = digestOf(bytes);
    await store.put(digest, bytes, signal);
    expect((await readAll(store, digest)).equals(bytes)).toBe(true);
    const before = peakMemoryOf(running.pid);

    const { path, requestSerialize } = loadProto().google.bytestream.ByteStream.service.Read;
    const frame = grpcFrame(requestSerialize({ resourceName: `blobs/${hashOf(digest)}/${sizeOf(digest)}` }));
    const sessions = Array.from({ length: CONNECTIONS }, () => connect(`http://${address}`));
    stack.defer(() => sessions.forEach((session) => session.destroy()));
    for (const session of sessions) {
      await once(session, 'connect');
      session.setLocalWindowSize(READERS * MIB); // so that one that does not read keeps no other from being sent to
      session.on('error', () => {});
    }
    const streams = Array.from({ length: READERS }, (_, index) => {
      const stream = sessions[index % CONNECTIONS]?.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      if (stream === undefined) throw new Error('there is no such connection');
      stream.end(frame);
      stream.on('error', () => {});
      return stream;
    });
    await Promise.all(streams.map((stream) => once(stream, 'readable'))); // sent to, as far as their windows go
    expect((await readAll(store, digest)).equals(bytes)).toBe(true);
    expect(peakMemoryOf(running.pid) - before).toBeLessThan(MORE_BYTES);
  },
);

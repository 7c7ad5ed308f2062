import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { digestOf } from '../../cache/digest.ts';
import { openDataPlane, type DataPlane } from '../../cache/rpc/client.ts';
import { chunked, expectFault, readAll } from '../contract/blob-store.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };

type Running = {
  readonly process: RunningProcess;
  readonly address: string;
  readonly plane: DataPlane;
  readonly store: BlobStore;
} & AsyncDisposable;

/** A data plane as a process of its own, and a client of it. */
async function start(
  dir: string,
  options: { readonly listen?: string; readonly args?: readonly string[]; readonly stdin?: 'pipe' } = {},
): Promise<Running> {
  const args = [
    '--listen',
    options.listen ?? '127.0.0.1:0',
    '--dir',
    dir,
    '--allow-local',
    '--local-project',
    'web',
    ...(options.args ?? []),
  ];
  const running = startNode([path.join(ROOT, 'cache/main.ts'), ...args], options.stdin === undefined ? {} : { stdin: options.stdin });
  const { address } = await running.ready();
  if (typeof address !== 'string') throw new Error('the ready line has no address');
  const plane = openDataPlane({ link: { address, token: undefined }, instanceName: '', env });
  return {
    process: running,
    address,
    plane,
    store: plane.store,
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
    },
  };
}

/** Files of blobs below the data plane's directory that are under their names. */
function visible(dir: string): string[] {
  const top = path.join(dir, 'cas');
  const all = fs.readdirSync(top, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('.tmp') && !entry.name.startsWith('.'))
    .map((entry) => entry.name);
}

const temporaries = (dir: string): string[] => fs.readdirSync(path.join(dir, 'cas', '.tmp'));

describe('a data plane process', () => {
  test('killed in the middle of writes shows no half blob, keeps whole ones, and cleans up at its next start', async () => {
    await using dir = await tempDir();
    await using first = await start(dir.path);
    const whole = randomBytes(2_000_000);
    await first.store.put(digestOf(whole), whole, signal);
    const half = randomBytes(8_000_000);
    const fed = Promise.withResolvers<void>();
    const never = async function* () {
      yield* chunked(half.subarray(0, 5_000_000), 1_000_000);
      fed.resolve();
      await new Promise(() => {}); // the killed server ends it
    };
    first.store.put(digestOf(half), never(), signal).catch(() => {});
    await fed.promise;
    await until('the write has begun', () => temporaries(dir.path).length > 0);
    first.process.kill('SIGKILL');
    expect((await first.process.ended).signal).toBe('SIGKILL');
    expect(visible(dir.path)).toEqual([digestOf(whole)]);
    await using second = await start(dir.path);
    expect(temporaries(dir.path)).toEqual([]);
    expect(await second.store.findMissing([digestOf(whole), digestOf(half)], signal)).toEqual([digestOf(half)]);
    expect((await readAll(second.store, digestOf(whole))).equals(whole)).toBe(true);
  });

  test('that is killed and comes back is only a pause for its clients', async () => {
    await using dir = await tempDir();
    const blobs = Array.from({ length: 60 }, (_, index) => randomBytes(index % 10 === 0 ? 3_000_000 : 5_000));
    await using first = await start(dir.path);
    const { store, address } = first;
    const work = Promise.all(blobs.map((bytes) => store.put(digestOf(bytes), bytes, signal)));
    await until('some are stored', () => visible(dir.path).length > 5);
    first.process.kill('SIGKILL');
    await first.process.ended;
    await using _ = await start(dir.path, { listen: address });
    await work;
    for (const bytes of blobs) expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test('shares its directory with another one', async () => {
    await using dir = await tempDir();
    await using first = await start(dir.path);
    await using second = await start(dir.path);
    const blobs = Array.from({ length: 40 }, () => randomBytes(50_000));
    await Promise.all(blobs.flatMap((bytes) => [first, second].map(({ store }) => store.put(digestOf(bytes), bytes, signal))));
    for (const { store } of [first, second]) {
      expect(await store.findMissing(blobs.map(digestOf), signal)).toEqual([]);
      for (const bytes of blobs) expect((await readAll(store, digestOf(bytes))).equals(bytes)).toBe(true);
    }
    expect(temporaries(dir.path)).toEqual([]);
  });

  test('evicts within its limit while two write to one directory', async () => {
    await using dir = await tempDir();
    const args = ['--max-bytes', '4Mi'];
    await using first = await start(dir.path, { args });
    await using second = await start(dir.path, { args });
    for (let round = 0; round < 20; round += 1) {
      for (const { store } of [first, second]) {
        const bytes = randomBytes(400_000);
        await store.put(digestOf(bytes), bytes, signal);
        expect(await store.findMissing([digestOf(bytes)], signal)).toEqual([]);
      }
    }
    const bytes = visible(dir.path).reduce((sum, name) => sum + Number(name.slice(65)), 0);
    expect(bytes).toBeLessThanOrEqual(2 * 4 * 1024 * 1024);
    const large = randomBytes(5 * 1024 * 1024);
    await expectFault('TOO_LARGE', first.store.put(digestOf(large), large, signal));
  });

  test('ends with its parent, and on SIGTERM', async () => {
    await using dir = await tempDir();
    await using orphan = await start(dir.path, { stdin: 'pipe' });
    orphan.process.closeStdin();
    expect(await orphan.process.ended).toEqual({ code: 0, signal: null });
    await using asked = await start(dir.path);
    asked.process.kill('SIGTERM');
    expect(await asked.process.ended).toEqual({ code: 0, signal: null });
  });

  test('knows its callers by the tokens file', async () => {
    await using dir = await tempDir();
    const tokens = path.join(dir.path, 'tokens.json');
    fs.writeFileSync(tokens, JSON.stringify([{ name: 'coordinator', sha256: hashToken('s3cret'), kind: 'service' }]));
    await using running = await start(dir.path, { args: ['--tokens-file', tokens] });
    await using service = openDataPlane({ link: { address: running.address, token: new Secret('s3cret') }, instanceName: 'any/main', env });
    expect(await service.store.findMissing([digestOf(Buffer.from('x'))], signal)).toHaveLength(1);
    await using stranger = openDataPlane({ link: { address: running.address, token: new Secret('guess') }, instanceName: 'any/main', env });
    await expectFault('UNAUTHENTICATED', stranger.store.findMissing([digestOf(Buffer.from('x'))], signal));
  });

  test('refuses a configuration that nobody or everybody could use', async () => {
    for (const [args, message] of [
      [['--listen', '127.0.0.1:0'], 'Nobody could connect'],
      [['--listen', '0.0.0.0:0', '--allow-local', '--insecure'], 'needs --tokens-file'],
      [['--listen', '0.0.0.0:0', '--allow-local'], 'give --tls-cert and --tls-key, or say --insecure'],
      [['--allow-local', '--max-bytes', '3'], '--max-bytes'],
      [['--allow-local', '--local-project', '../up'], '--local-project'],
    ] as const) {
      await using dir = await tempDir();
      await using running = startNode([path.join(ROOT, 'cache/main.ts'), '--dir', dir.path, ...args]);
      expect((await running.ended).code).toBe(2);
      expect(running.stderr()).toContain(message);
    }
  });
});

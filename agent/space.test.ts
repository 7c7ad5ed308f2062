import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { needs } from '../test/fixtures/host.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { watchSpace } from './space.ts';

const env = { log: silentLogger, clock: systemClock };

test('a shortage is told once, and its end once there is room', async () => {
  await using dir = await tempDir();
  const seen: (string | undefined)[] = [];
  const recovered = Promise.withResolvers<void>();
  const onChange = (reason: string | undefined) => {
    seen.push(reason);
    if (reason === undefined) recovered.resolve();
  };
  using space = watchSpace({ dir: dir.path, env, onChange, freeBytesMin: 1, lookEveryMs: 1 });
  space.short('The disk is full');
  space.short('The disk is full');
  await recovered.promise;
  expect(seen).toEqual(['The disk is full', undefined]);
});

test.runIf(needs('root', 'mount'))('a disk that is too small for what large ones need recovers all the same', async () => {
  await using dir = await tempDir();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir.path]);
  await using _mounted = { [Symbol.asyncDispose]: async () => void execFileSync('umount', [dir.path]) };
  const recovered = Promise.withResolvers<void>();
  using space = watchSpace({ dir: dir.path, env, onChange: (reason) => reason ?? recovered.resolve(), lookEveryMs: 1 });
  space.short('The disk is full');
  await recovered.promise;
});

test('as long as there is no room the shortage lasts', async () => {
  await using dir = await tempDir();
  const seen: (string | undefined)[] = [];
  const looked = Promise.withResolvers<void>();
  let looks = 0;
  const counting = {
    ...env,
    log: { ...silentLogger, warn: () => void ((looks += 1) === 3 && looked.resolve()) },
  };
  using space = watchSpace({
    dir: `${dir.path}/gone`,
    env: counting,
    onChange: (reason) => seen.push(reason),
    freeBytesMin: 1,
    lookEveryMs: 1,
  });
  space.short('The disk is full');
  await looked.promise;
  expect(seen).toEqual(['The disk is full']);
});

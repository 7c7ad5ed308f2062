import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hash } from 'node:crypto';
import { tempDir } from '../../test/fixtures/temp-dir.ts';
import { openLogPipes, type LogPipe, type LogPipes } from './log-pipe.ts';

async function opened(pipes: LogPipes): Promise<{ pipe: LogPipe; all: () => Buffer }> {
  const chunks: Uint8Array[] = [];
  const pipe = await pipes.open((bytes) => chunks.push(bytes));
  return { pipe, all: () => Buffer.concat(chunks) };
}

async function shell(script: string, pipe: LogPipe): Promise<void> {
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', pipe.writeFd, pipe.writeFd] });
  await once(child, 'exit');
}

test('all that a command writes arrives, in order', async () => {
  await using dir = await tempDir();
  const { pipe, all } = await opened(openLogPipes(join(dir.path, 'pipes')));
  await shell('echo out; echo err >&2; printf "\\000\\377"', pipe);
  await pipe.drained();
  expect(all()).toEqual(Buffer.concat([Buffer.from('out\nerr\n'), Buffer.from([0, 255])]));
});

test('opening /dev/stderr anew takes nothing away of what was written', async () => {
  await using dir = await tempDir();
  const { pipe, all } = await opened(openLogPipes(join(dir.path, 'pipes')));
  await shell('echo one; echo two >/dev/stderr; echo three >/dev/stdout; echo four', pipe);
  await pipe.drained();
  expect(all().toString()).toBe('one\ntwo\nthree\nfour\n');
});

test('megabytes arrive whole', async () => {
  await using dir = await tempDir();
  const { pipe, all } = await opened(openLogPipes(join(dir.path, 'pipes')));
  await shell('head -c 20000000 /dev/zero', pipe);
  await pipe.drained();
  expect(hash('sha256', all(), 'hex')).toBe(hash('sha256', Buffer.alloc(20_000_000), 'hex'));
});

test('what is in the pipe arrives at an agent that is too busy to read them in time', async () => {
  await using dir = await tempDir();
  let size = 0;
  const pipe = await openLogPipes(join(dir.path, 'pipes')).open((bytes) => (size += bytes.byteLength));
  const child = spawn('sh', ['-c', 'head -c 60000 /dev/zero'], { stdio: ['ignore', pipe.writeFd, pipe.writeFd] });
  await once(child, 'spawn');
  const drained = pipe.drained();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  await drained;
  expect(size).toBe(60_000);
});

test('a process that holds the pipe open does not hold the attempt up', async () => {
  await using dir = await tempDir();
  const { pipe, all } = await opened(openLogPipes(join(dir.path, 'pipes')));
  await shell('sleep 100 & echo $!', pipe);
  await pipe.drained();
  process.kill(Number(all().toString()), 'SIGKILL');
  expect(all().toString()).toMatch(/^\d+\n$/);
});

test('pipes of several attempts are apart, and none is left on disk while open', async () => {
  await using dir = await tempDir();
  const at = join(dir.path, 'pipes');
  const pipes = openLogPipes(at);
  const attempts = await Promise.all(Array.from({ length: 9 }, () => opened(pipes)));
  await Promise.all(attempts.map(({ pipe }, index) => shell(`echo ${index}`, pipe)));
  await Promise.all(attempts.map(({ pipe }) => pipe.drained()));
  expect(attempts.map(({ all }) => all().toString())).toEqual(attempts.map((_, index) => `${index}\n`));
  // Only pipes that wait for their turn have names.
  expect(readdirSync(at).length).toBeLessThanOrEqual(8);
});

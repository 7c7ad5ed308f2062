import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digestOf } from '../../cache/digest.ts';
import { LogParts, type LogStream } from './log-parts.ts';

type Written = { readonly stream: LogStream; readonly bytes: Uint8Array };

const written: fc.Arbitrary<readonly Written[]> = fc.array(
  fc.record({ stream: fc.constantFrom<LogStream>('stdout', 'stderr'), bytes: fc.uint8Array({ maxLength: 6 }) }),
  { maxLength: 30 },
);

function partsOf(all: readonly Written[], changesMax?: number): LogParts {
  const parts = new LogParts(changesMax);
  for (const { stream, bytes } of all) parts.took(stream, bytes);
  return parts;
}

async function* piecesOf(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += length) yield bytes.subarray(at, at + length);
}

async function joined(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

test('each stream is what was written to it, however the log is read', async () => {
  await fc.assert(
    fc.asyncProperty(written, fc.integer({ min: 1, max: 9 }), async (all, length) => {
      const parts = partsOf(all);
      const log = Buffer.concat(all.map(({ bytes }) => bytes));
      const of = (wanted: LogStream) => Buffer.concat(all.flatMap(({ stream, bytes }) => (stream === wanted ? [bytes] : [])));
      for (const stream of ['stdout', 'stderr'] as const)
        expect(await joined(parts.pick(stream, piecesOf(log, length)))).toEqual(of(stream));
      const [stdout, stderr] = [of('stdout'), of('stderr')];
      const expected = { ...(stdout.length === 0 ? {} : { stdout: digestOf(stdout) }), stderr: digestOf(stderr) };
      expect(parts.sealed()).toEqual(stderr.length === 0 ? undefined : expected);
    }),
  );
});

test('a command that goes to and fro without end is told apart only so far, and costs no more memory', () => {
  const turns = Array.from({ length: 20 }, (_, index): Written => {
    return { stream: index % 2 === 0 ? 'stdout' : 'stderr', bytes: Uint8Array.of(index) };
  });
  expect(partsOf(turns, 20).sealed()).toBeDefined();
  expect(partsOf(turns, 19).sealed()).toBeUndefined();
});

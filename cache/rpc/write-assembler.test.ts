import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { WriteRequest__Output } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import { loadProto } from '../../proto/load.ts';
import { BUFFER_BYTES } from '../lent-buffers.ts';
import { WriteAssembler } from './write-assembler.ts';

const { WriteRequest } = loadProto().google.bytestream;
const BYTES = randomBytes(3 * BUFFER_BYTES);
const NAME = 'web/uploads/u/blobs/h/1';

/** Messages that go on where the one before them ended are one: what a write means, however it is cut. */
function meaningOf(messages: readonly WriteRequest__Output[]): readonly object[] {
  const runs: { resourceName: string; start: number; data: Buffer[]; bytes: number; finishWrite: boolean }[] = [];
  for (const { resourceName, writeOffset, finishWrite, data } of messages) {
    const last = runs.at(-1);
    const goesOn = last?.finishWrite === false && Number(writeOffset) === last.start + last.bytes;
    if (last !== undefined && goesOn && (resourceName === '' || resourceName === last.resourceName)) {
      last.data.push(data);
      last.bytes += data.byteLength;
      last.finishWrite = finishWrite;
    } else runs.push({ resourceName, start: Number(writeOffset), data: [data], bytes: data.byteLength, finishWrite });
  }
  return runs.map(({ data, ...run }) => ({ ...run, data: Buffer.concat(data).toString('hex') }));
}

/** A message in the usual form, or the same one with its data first, its name twice, a field that nobody knows or a very long number. */
const FORMS = {
  usual: (bytes: Buffer) => bytes,
  reversed: (_: Buffer, { data, ...rest }: Message) => Buffer.concat([WriteRequest.serialize({ data }), WriteRequest.serialize(rest)]),
  named: (bytes: Buffer) => Buffer.concat([WriteRequest.serialize({ resourceName: 'other' }), bytes]),
  unknown: (bytes: Buffer) => Buffer.concat([Buffer.from([0x22, 0x02, 0x68, 0x69]), bytes]),
  long: (bytes: Buffer) => Buffer.concat([Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), bytes]),
} as const;

type Message = { resourceName: string; writeOffset: string; finishWrite: boolean; data: Buffer };

const SIZE = fc.oneof(fc.nat(300), fc.nat(70_000), fc.nat(2 * BUFFER_BYTES + 10), fc.constantFrom(0, BUFFER_BYTES - 1, BUFFER_BYTES));
const MESSAGE = fc.record({
  name: fc.constantFrom('', '', NAME, NAME, 'other', 'ünïcode'),
  skip: fc.constantFrom(0, 0, 0, 0, 0, 1, -1, 2 ** 52, -5_000_000),
  size: SIZE,
  finishWrite: fc.nat(5).map((one) => one === 0),
  form: fc.constantFrom<keyof typeof FORMS>('usual', 'usual', 'usual', 'reversed', 'named', 'unknown', 'long'),
});

test('messages mean what they did, in whatever form they were, however they were cut and whenever they are taken', () => {
  const law = fc.property(fc.array(MESSAGE, { maxLength: 8 }), fc.array(fc.tuple(SIZE, fc.boolean())), (drawn, cuts) => {
    let at = 0;
    const wire = drawn.map(({ name, skip, size, finishWrite, form }) => {
      const message = { resourceName: name, writeOffset: String(at + skip), finishWrite, data: BYTES.subarray(0, size) };
      at += skip + size;
      return FORMS[form](WriteRequest.serialize(message), message);
    });
    const assembler = new WriteAssembler();
    const taken: WriteRequest__Output[] = [];
    const take = () => {
      for (let next = assembler.take(); next !== undefined; next = assembler.take()) taken.push({ ...next, data: Buffer.from(next.data) });
    };
    let turn = 0;
    for (const bytes of wire) {
      assembler.begin(bytes.byteLength);
      for (let start = 0; start < bytes.byteLength;) {
        const [cut = bytes.byteLength, isTaken = true] = cuts[turn % Math.max(1, cuts.length)] ?? [];
        turn += 1;
        assembler.part(bytes.subarray(start, start + cut + 1));
        start += cut + 1;
        if (isTaken) take();
      }
      assembler.end();
    }
    take();
    expect(meaningOf(taken)).toEqual(meaningOf(wire.map((bytes) => WriteRequest.deserialize(bytes))));
    expect([assembler.isReady, assembler.isFull]).toEqual([false, false]);
  });
  fc.assert(law, { numRuns: 150 });
});

test('large messages come in pieces while they are still coming, and small ones together', () => {
  const assembler = new WriteAssembler();
  const send = (writeOffset: number, size: number, finishWrite = false) => {
    const bytes = WriteRequest.serialize({ resourceName: NAME, writeOffset, finishWrite, data: BYTES.subarray(0, size) });
    assembler.begin(bytes.byteLength);
    assembler.part(bytes);
    assembler.end();
  };
  const sizes = () => {
    const all: number[] = [];
    for (let next = assembler.take(); next !== undefined; next = assembler.take()) all.push(next.data.byteLength);
    return all;
  };
  const bytes = WriteRequest.serialize({ resourceName: NAME, data: BYTES.subarray(0, 2 * BUFFER_BYTES) });
  assembler.begin(bytes.byteLength);
  assembler.part(bytes.subarray(0, -1));
  expect(assembler.isReady).toBe(true);
  assembler.part(bytes.subarray(-1));
  assembler.end();
  const large = sizes();
  expect(large.reduce((sum, size) => sum + size)).toBe(2 * BUFFER_BYTES);
  expect(Math.max(...large)).toBe(BUFFER_BYTES);
  for (let index = 0; index < 16; index += 1) send(2 * BUFFER_BYTES + index * 1_000, 1_000);
  expect(sizes()).toEqual([16_000]);
  for (let index = 16; index < 18; index += 1) send(2 * BUFFER_BYTES + index * 1_000, 1_000, index === 17);
  expect(sizes()).toEqual([2_000]);
});

test('bytes that are no message are refused where the definition refuses them', () => {
  const refusals = [Buffer.alloc(12, 0xff), Buffer.from([0x52, 0x7f, 0x01]), Buffer.from([0x0a, 0x05, 0x61])].map((bytes) => {
    const assembler = new WriteAssembler();
    assembler.begin(bytes.byteLength);
    const ways = [
      () => WriteRequest.deserialize(bytes),
      () => {
        assembler.part(bytes);
        assembler.end();
      },
    ];
    return ways.map((way) => {
      try {
        way();
        return 'taken';
      } catch {
        return 'refused';
      }
    });
  });
  for (const [usual, own] of refusals) expect(own).toBe(usual);
  expect(refusals.flat()).toContain('refused');
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WireReader, WireWriter } from './wire.ts';

type Field =
  | { kind: 'varint'; value: number }
  | { kind: 'signed'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'bytes'; value: Uint8Array }
  | { kind: 'packed'; value: number[] }
  | { kind: 'message'; value: Field[] };

const count = fc.oneof(fc.nat(300), fc.nat({ max: Number.MAX_SAFE_INTEGER }));
const fields: fc.Arbitrary<Field[]> = fc.letrec<{ fields: Field[]; field: Field }>((tie) => ({
  field: fc.oneof(
    { depthSize: 'small' },
    fc.record({ kind: fc.constant('varint' as const), value: count }),
    fc.record({ kind: fc.constant('signed' as const), value: fc.maxSafeInteger() }),
    fc.record({ kind: fc.constant('string' as const), value: fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()) }),
    fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 400 }) }),
    fc.record({ kind: fc.constant('packed' as const), value: fc.array(count, { minLength: 1 }) }),
    fc.record({ kind: fc.constant('message' as const), value: tie('fields') }),
  ),
  fields: fc.array(tie('field'), { maxLength: 6 }),
})).fields;

function write(writer: WireWriter, list: readonly Field[]): WireWriter {
  for (const [index, field] of list.entries()) {
    if (field.kind === 'varint') writer.varint(index + 1, field.value);
    else if (field.kind === 'signed') writer.signed(index + 1, field.value);
    else if (field.kind === 'string') writer.string(index + 1, field.value, true);
    else if (field.kind === 'bytes') writer.bytes(index + 1, field.value, true);
    else if (field.kind === 'packed') writer.packed(index + 1, field.value);
    else if (field.kind === 'message') {
      const inner = field.value;
      writer.message(index + 1, (message) => void write(message, inner));
    }
  }
  return writer;
}

/** Reads fields of the kinds of `list`; numbers that are 0 are not on the wire. */
function read(bytes: Uint8Array, list: readonly Field[]): Field[] {
  const found = list.map((field): Field => (field.kind === 'varint' || field.kind === 'signed' ? { ...field, value: 0 } : field));
  const reader = new WireReader(bytes, 'test');
  while (reader.next()) {
    const at = reader.field - 1;
    const field = list[at];
    if (field === undefined) throw new Error('a field that was not written');
    if (field.kind === 'varint') found[at] = { kind: field.kind, value: reader.varint() };
    else if (field.kind === 'signed') found[at] = { kind: field.kind, value: reader.signed() };
    else if (field.kind === 'string') found[at] = { kind: field.kind, value: reader.string() };
    else if (field.kind === 'bytes') found[at] = { kind: field.kind, value: Uint8Array.from(reader.bytes()) };
    else if (field.kind === 'packed') found[at] = { kind: field.kind, value: reader.packed() };
    else found[at] = { kind: field.kind, value: read(reader.bytes(), field.value) };
  }
  return found;
}

describe('wire', () => {
  test('gives back every message that was written', () => {
    fc.assert(
      fc.property(fields, (list) => {
        expect(read(write(new WireWriter(1), list).finish(), list)).toEqual(list);
      }),
    );
  });

  test('skips fields that nobody takes', () => {
    fc.assert(
      fc.property(fields, fc.nat(1_000), (list, value) => {
        const bytes = Buffer.concat([write(new WireWriter(), list).finish(), new WireWriter().varint(99, value + 1).finish()]);
        const reader = new WireReader(bytes, 'test');
        let last = 0;
        while (reader.next()) if (reader.field === 99) last = reader.varint();
        expect(last).toBe(value + 1);
      }),
    );
  });

  test('says BAD_REQUEST of any other bytes, and reads nothing beyond them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const reader = new WireReader(bytes, 'test');
        try {
          while (reader.next());
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_REQUEST' });
        }
      }),
    );
  });

  test.for([
    ['0a05', 'longer than the message'],
    ['8a', 'a truncated number'],
    ['08ffffffffffffffffffffff01', 'more than 10 bytes'],
    ['0a02c328', 'not UTF-8'],
    ['0801', 'wire type 0 instead of 2'],
    ['00', 'field number 0'],
    ['0d0000', 'a truncated number'],
    ['0b', 'wire type 3'],
  ] as const)('refuses %s: %s', ([hex, message]) => {
    const reader = new WireReader(Buffer.from(hex, 'hex'), 'Test');
    expect(() => {
      while (reader.next()) if (!hex.startsWith('08ff') && !hex.startsWith('0d') && !hex.startsWith('0b')) reader.string();
    }).toThrow(message);
  });

  test('refuses to write what is no unsigned safe integer', () => {
    for (const value of [-1, 1.5, 2 ** 53, Number.NaN]) expect(() => new WireWriter().varint(1, value)).toThrow(RangeError);
  });
});

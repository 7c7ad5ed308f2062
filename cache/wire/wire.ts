import { Fault } from '../../base/fault.ts';

/**
 * Protocol-buffer bytes by hand, for the messages that are hashed: the same value always gives the same bytes, with fields
 * in the order in which they are written and defaults left out. Numbers are unsigned and safe integers.
 */
export class WireWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
  }

  /** An integer, boolean (0 or 1) or enum; 0 is left out. */
  varint(field: number, value: number): this {
    if (value !== 0) {
      this.#key(field, 0);
      this.#number(value);
    }
    return this;
  }

  /** An int32 or int64 that may be negative; 0 is left out. */
  signed(field: number, value: number): this {
    if (value >= 0) return this.varint(field, value);
    this.#key(field, 0);
    this.#room(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) this.#buffer[this.#length++] = Number(rest & 127n) | 128;
    this.#buffer[this.#length++] = Number(rest);
    return this;
  }

  /** A repeated field of unsigned numbers; an empty list is left out. */
  packed(field: number, values: readonly number[]): this {
    if (values.length === 0) return this;
    return this.message(field, () => {
      for (const value of values) this.#number(value);
    });
  }

  /** Text; '' is left out unless `keepEmpty` (an element of a repeated field). */
  string(field: number, value: string, keepEmpty = false): this {
    if (value === '' && !keepEmpty) return this;
    this.#key(field, 2);
    const size = Buffer.byteLength(value);
    this.#number(size);
    this.#room(size);
    this.#length += this.#buffer.write(value, this.#length);
    return this;
  }

  /** Bytes; none are left out unless `keepEmpty`. */
  bytes(field: number, value: Uint8Array, keepEmpty = false): this {
    if (value.byteLength === 0 && !keepEmpty) return this;
    this.#key(field, 2);
    this.#number(value.byteLength);
    this.#room(value.byteLength);
    this.#buffer.set(value, this.#length);
    this.#length += value.byteLength;
    return this;
  }

  /** A message, written by `write`; it is there even where it is empty. */
  message(field: number, write: (writer: WireWriter) => void): this {
    this.#key(field, 2);
    this.#room(5);
    const start = this.#length + 1; // one byte is kept for the size, most messages are short
    this.#length = start;
    write(this);
    const size = this.#length - start;
    const extra = varintSize(size) - 1;
    if (extra > 0) {
      this.#room(extra);
      this.#buffer.copyWithin(start + extra, start, this.#length);
    }
    this.#length = start - 1;
    this.#number(size);
    this.#length += size;
    return this;
  }

  /** All that was written, as bytes of their own. */
  finish(): Uint8Array {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }

  #key(field: number, type: number): void {
    this.#number(field * 8 + type);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`Not a safe unsigned integer: ${value}`);
    this.#room(10);
    let rest = value;
    while (rest > 127) {
      this.#buffer[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#length++] = rest;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.byteLength) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.byteLength * 2, this.#length + bytes));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

const TEXT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads the fields of one message in the order of the bytes: `while (reader.next()) switch (reader.field) ...`. A field
 * whose value is not taken is skipped. What it returns aliases the input.
 * @throws {Fault} BAD_REQUEST where the bytes are no message.
 */
export class WireReader {
  readonly #bytes: Uint8Array;
  /** What the message is, for messages of errors. */
  readonly #what: string;
  #at = 0;
  #type = -1;
  field = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Goes to the next field; false at the end. */
  next(): boolean {
    if (this.#type !== -1) this.#skip();
    if (this.#at >= this.#bytes.byteLength) return false;
    const key = this.#number();
    this.field = Math.floor(key / 8);
    this.#type = key % 8;
    if (this.field === 0) throw this.#malformed('field number 0');
    return true;
  }

  /** The field's number; negative and larger than 2^53 are refused. */
  varint(): number {
    this.#take(0);
    const value = this.#number();
    if (!Number.isSafeInteger(value)) throw this.#malformed('a number out of range');
    return value;
  }

  /** The field's number as int32 or int64 with a sign; refused where it is no safe integer. */
  signed(): number {
    this.#take(0);
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        const number = Number(BigInt.asIntN(64, value));
        if (!Number.isSafeInteger(number)) throw this.#malformed('a number out of range');
        return number;
      }
    }
    throw this.#malformed('a number of more than 10 bytes');
  }

  /** The numbers of a repeated field, as many as stand together. */
  packed(): number[] {
    if (this.#type === 0) return [this.varint()];
    const values: number[] = [];
    const { end } = this.#span();
    while (this.#at < end) values.push(this.#number());
    if (this.#at !== end || !values.every(Number.isSafeInteger)) throw this.#malformed('a list of numbers that does not end in a number');
    return values;
  }

  bytes(): Uint8Array {
    const { start, end } = this.#span();
    this.#at = end;
    return this.#bytes.subarray(start, end);
  }

  #span(): { readonly start: number; readonly end: number } {
    this.#take(2);
    const size = this.#number();
    if (size > this.#bytes.byteLength - this.#at) throw this.#malformed('a field longer than the message');
    return { start: this.#at, end: this.#at + size };
  }

  string(): string {
    const bytes = this.bytes();
    try {
      return TEXT.decode(bytes);
    } catch {
      throw this.#malformed('text that is not UTF-8');
    }
  }

  #take(type: number): void {
    if (this.#type !== type) throw this.#malformed(`field ${this.field} with wire type ${this.#type} instead of ${type}`);
    this.#type = -1;
  }

  #skip(): void {
    const type = this.#type;
    if (type === 0) this.signed();
    else if (type === 2) this.bytes();
    else if (type === 1 || type === 5) {
      this.#at += type === 1 ? 8 : 4;
      this.#type = -1;
      if (this.#at > this.#bytes.byteLength) throw this.#malformed('a truncated number');
    } else throw this.#malformed(`wire type ${type}`);
  }

  #number(): number {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 10; index += 1) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw this.#malformed('a number of more than 10 bytes');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.#malformed('a truncated number');
    this.#at += 1;
    return byte;
  }

  #malformed(how: string): Fault {
    return new Fault('BAD_REQUEST', `Malformed ${this.#what} message: ${how} at byte ${this.#at}`);
  }
}

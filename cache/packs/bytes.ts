/** Appends numbers, little-endian, and texts to bytes. */
export class ByteWriter {
  #buffer: Buffer = Buffer.allocUnsafe(1_024);
  #length = 0;

  u8(value: number): void {
    this.#reserve(1);
    this.#length = this.#buffer.writeUInt8(value, this.#length);
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16LE(value, this.#length);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  u64(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeBigUInt64LE(BigInt(value), this.#length);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.byteLength);
    this.#buffer.set(value, this.#length);
    this.#length += value.byteLength;
  }

  /** UTF-8 behind its length in bytes, a u16. */
  text(value: string): void {
    const bytes = Buffer.from(value, 'utf8');
    this.u16(bytes.byteLength);
    this.bytes(bytes);
  }

  /** Everything that was written. The writer must not be used after. */
  take(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.byteLength) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.byteLength * 2, this.#length + bytes));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** Reads what a `ByteWriter` wrote. Whatever is not there, or no safe integer, is thrown as what `fault` makes of the reason. */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #fault: (why: string) => Error;
  #at = 0;

  constructor(bytes: Uint8Array, fault: (why: string) => Error) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fault = fault;
  }

  get leftBytes(): number {
    return this.#buffer.byteLength - this.#at;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#skip(1));
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#skip(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#skip(4));
  }

  u64(): number {
    const value = Number(this.#buffer.readBigUInt64LE(this.#skip(8)));
    if (!Number.isSafeInteger(value)) throw this.#fault('a number in it is too large');
    return value;
  }

  /** A view, no copy. */
  bytes(count: number): Uint8Array {
    const start = this.#skip(count);
    return this.#buffer.subarray(start, start + count);
  }

  text(): string {
    return Buffer.from(this.bytes(this.u16())).toString('utf8');
  }

  /** A u32 that counts things of at least `eachBytes` which follow. */
  count(eachBytes: number): number {
    const count = this.u32();
    if (count * eachBytes > this.leftBytes) throw this.#fault(`it claims ${count} items where there is no room for them`);
    return count;
  }

  #skip(bytes: number): number {
    if (bytes > this.leftBytes) throw this.#fault('it ends too early');
    const start = this.#at;
    this.#at += bytes;
    return start;
  }
}

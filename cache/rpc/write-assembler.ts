import { present } from '../../base/assert.ts';
import type { WriteRequest__Output } from '../../proto/gen/google/bytestream/WriteRequest.ts';
import { loadProto } from '../../proto/load.ts';
import type { Assembler } from '../../proto/raw-upload.ts';
import { BUFFER_BYTES, giveBack, lend, takeBuffer } from '../lent-buffers.ts';

/** Messages that wait to be taken; more are not made while so many do. */
const READY_MAX = 2;
/** A message whose other fields take more is read by its definition once it has all come. */
const HEAD_BYTES_MAX = 16 * 1024;
/** Until a call has sent so much, its data goes into buffers of at most this size, and of its message's. */
const FIRST_BYTES = 64 * 1024;
/** Data that came in one piece, finishes its write and has no more bytes than this stays where it is, in a buffer that is some larger. */
const AS_IT_LIES_BYTES_MAX = 32 * 1024;

/**
 * Puts WriteRequests together: their data is copied once, out of what the socket gave, into buffers that are used again (`giveBack`).
 * Data of more than 256 KiB is handed out as several messages, and messages that continue each other are handed out as one: however a
 * client cuts, the store gets large pieces, and a small one at once when it has nothing else to do.
 */
export class WriteAssembler implements Assembler<WriteRequest__Output> {
  readonly #ready: WriteRequest__Output[] = [];
  /** What is being filled. */
  #open: OpenMessage | undefined;
  /** What is known of the message that is coming, once its fields before the data are there. */
  #fields: Fields | undefined;
  /** Bytes of it until then, or all where it is of another form. */
  #collected: Buffer[] = [];
  #isOtherForm = false;
  #size = 0;
  /** Data of the call, copied. */
  #received = 0;
  /** Whether a message has begun and not ended. */
  #isComing = false;

  get isFull(): boolean {
    return this.#ready.length >= READY_MAX;
  }

  get isReady(): boolean {
    return this.#ready.length > 0 || this.#open?.hasWhole === true;
  }

  begin(sizeBytes: number): void {
    this.#size = sizeBytes;
    this.#fields = undefined;
    this.#collected = [];
    this.#isOtherForm = false;
    this.#isComing = true;
  }

  part(bytes: Buffer): void {
    if (this.#fields !== undefined) return this.#append(bytes);
    this.#collected.push(bytes);
    if (this.#isOtherForm) return;
    const head = joined(this.#collected);
    this.#collected = [head];
    const fields = fieldsOf(head, this.#size);
    if (fields === 'incomplete' && head.byteLength < HEAD_BYTES_MAX) return;
    if (typeof fields === 'string') this.#isOtherForm = true;
    else this.#data(fields, head);
  }

  end(): void {
    this.#isComing = false;
    if (this.#fields === undefined) {
      this.#close();
      this.#ready.push(loadProto().google.bytestream.WriteRequest.deserialize(joined(this.#collected)));
      this.#collected = [];
    } else if (this.#fields.finishWrite) this.#close(true);
    else if (this.#open !== undefined) this.#open.hasWhole = true;
  }

  take(): WriteRequest__Output | undefined {
    const open = this.#open;
    if (this.#ready.length === 0 && open?.hasWhole === true) {
      this.#close();
      if (this.#isComing && this.#fields !== undefined) this.#open = after(open);
    }
    return this.#ready.shift();
  }

  drop(): void {
    this.#close();
    for (const { data } of this.#ready.splice(0)) giveBack(data);
  }

  /** The fields before the data are there, and perhaps some of it. */
  #data(fields: Fields, head: Buffer): void {
    this.#fields = fields;
    this.#collected = [];
    const data = head.subarray(fields.dataStart);
    if (this.#open !== undefined && !continues(this.#open, fields)) this.#close();
    const { resourceName, writeOffset } = fields;
    if (this.#open === undefined && fields.finishWrite && head.byteLength === this.#size && data.byteLength <= AS_IT_LIES_BYTES_MAX)
      this.#open = { resourceName, writeOffset, bytes: data, length: data.byteLength, hasWhole: false };
    else {
      this.#open ??= { resourceName, writeOffset, bytes: undefined, length: 0, hasWhole: false };
      this.#append(data);
    }
  }

  #append(data: Buffer): void {
    for (let at = 0; at < data.byteLength;) {
      let open = present(this.#open, 'data follows the fields before it');
      if (open.bytes !== undefined && open.length === open.bytes.byteLength) {
        this.#close();
        open = this.#open = after(open);
      }
      open.bytes ??= this.#room();
      const count = data.copy(open.bytes, open.length, at);
      open.length += count;
      at += count;
      this.#received += count;
    }
  }

  /** Room for data: little for who sent little, so that many calls that send next to nothing hold next to nothing. */
  #room(): Buffer {
    return this.#received < FIRST_BYTES ? Buffer.allocUnsafeSlow(Math.min(FIRST_BYTES, this.#size)) : takeBuffer();
  }

  #close(finishWrite = false): void {
    if (this.#open === undefined) return;
    const { resourceName, writeOffset, bytes = NOTHING, length } = this.#open;
    this.#open = undefined;
    const data = bytes.byteLength === BUFFER_BYTES ? lend(bytes, length) : bytes.subarray(0, length);
    this.#ready.push({ resourceName, writeOffset: String(writeOffset), finishWrite, data });
  }
}

/** A message that is being filled. */
type OpenMessage = {
  readonly resourceName: string;
  readonly writeOffset: number;
  /** Has room for its data; none until some comes. */
  bytes: Buffer | undefined;
  /** Bytes of data in it. */
  length: number;
  /** Whether one of the messages that went into it has ended: then nobody need wait for more. */
  hasWhole: boolean;
};

/** What goes on where the message ended. */
function after({ resourceName, writeOffset, length }: OpenMessage): OpenMessage {
  return { resourceName, writeOffset: writeOffset + length, bytes: undefined, length: 0, hasWhole: false };
}

const NOTHING = Buffer.alloc(0);

function continues(open: OpenMessage, { resourceName, writeOffset }: Fields): boolean {
  return writeOffset === open.writeOffset + open.length && (resourceName === '' || resourceName === open.resourceName);
}

function joined(parts: readonly Buffer[]): Buffer {
  const [first = NOTHING] = parts;
  return parts.length > 1 ? Buffer.concat(parts) : first;
}

/** What of a WriteRequest comes before its data, and where that begins. */
type Fields = { readonly resourceName: string; readonly writeOffset: number; readonly finishWrite: boolean; readonly dataStart: number };

const RESOURCE_NAME = (1 << 3) | 2;
const WRITE_OFFSET = 2 << 3;
const FINISH_WRITE = 3 << 3;
const DATA = (10 << 3) | 2;
/** Bytes of a number below 2^49, as all offsets are that anybody has. */
const VARINT_BYTES_MAX = 7;

/**
 * The beginning of a message of `size` bytes in the form in which everybody writes it: data last, names in ASCII. `other` where it is in
 * any other form, or no such message.
 */
function fieldsOf(bytes: Buffer, size: number): Fields | 'incomplete' | 'other' {
  let resourceName = '';
  let writeOffset = 0;
  let finishWrite = false;
  for (let at = 0; at < bytes.byteLength;) {
    const key = bytes[at];
    const number = varintAt(bytes, at + 1);
    if (typeof number === 'string') return number;
    const { value, next } = number;
    at = next;
    if (key === DATA) return at + value === size ? { resourceName, writeOffset, finishWrite, dataStart: at } : 'other';
    if (key === WRITE_OFFSET) writeOffset = value;
    else if (key === FINISH_WRITE) finishWrite = value !== 0;
    else if (key !== RESOURCE_NAME || value > HEAD_BYTES_MAX) return 'other';
    else {
      if (at + value > bytes.byteLength) return at + value > size ? 'other' : 'incomplete';
      if (!isAscii(bytes, at, at + value)) return 'other';
      resourceName = bytes.toString('latin1', at, at + value);
      at += value;
    }
  }
  return bytes.byteLength < size ? 'incomplete' : { resourceName, writeOffset, finishWrite, dataStart: size };
}

function varintAt(bytes: Buffer, start: number): { readonly value: number; readonly next: number } | 'incomplete' | 'other' {
  let value = 0;
  for (let at = start; at < start + VARINT_BYTES_MAX; at += 1) {
    const byte = bytes[at];
    if (byte === undefined) return 'incomplete';
    value += (byte & 0x7f) * 2 ** (7 * (at - start));
    if (byte < 0x80) return { value, next: at + 1 };
  }
  return 'other';
}

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((bytes[at] ?? 128) > 127) return false;
  return true;
}

/* The part of DER (ITU-T X.690) that certificates are written in. Everything here writes; nothing reads what others have written. */

function node(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.byteLength), body]);
}

function lengthOf(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.from([bytes]);
  const hex = bytes.toString(16);
  const digits = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 | digits.byteLength]), digits]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return node(0x30, ...parts);
}

export function set(...parts: readonly Uint8Array[]): Buffer {
  return node(0x31, ...parts);
}

/** A number that is not negative, most significant byte first. */
export function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const short = start === -1 ? Buffer.from([0]) : Buffer.from(bytes.subarray(start));
  return node(0x02, (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short);
}

export function boolean(value: boolean): Buffer {
  return node(0x01, Buffer.from([value ? 0xff : 0]));
}

/** Bits in whole bytes, of which the last `unused` do not count. */
export function bits(bytes: Uint8Array, unused = 0): Buffer {
  return node(0x03, Buffer.from([unused]), bytes);
}

export function octets(bytes: Uint8Array): Buffer {
  return node(0x04, bytes);
}

/** An object identifier such as `2.5.29.17`. */
export function identifier(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return node(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): readonly number[] {
  const digits = [value & 0x7f];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

export function utf8(text: string): Buffer {
  return node(0x0c, Buffer.from(text));
}

/** A time of the years 1950 to 2049 to the second, in the form that certificates have for those. */
export function utcTime(timeMs: number): Buffer {
  const digits = new Date(timeMs).toISOString().replaceAll(/\D/g, '');
  return node(0x17, Buffer.from(`${digits.slice(2, 14)}Z`));
}

/** `[n]` around other values. */
export function tagged(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return node(0xa0 | number, ...parts);
}

/** `[n]` in the place of a string's own tag. */
export function implicit(number: number, bytes: Uint8Array): Buffer {
  return node(0x80 | number, bytes);
}

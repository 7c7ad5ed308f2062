/** The first bytes after all that begin with these, as the end of a range by bytes; '+' where there are none. */
export function endOfPrefix(prefix: string): Buffer | '+' {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at -= 1) {
    const byte = end[at] ?? 0xff;
    if (byte === 0xff) continue;
    end[at] = byte + 1;
    return Buffer.concat([Buffer.from('('), end.subarray(0, at + 1)]);
  }
  return '+';
}

/** Names from this one on, or after it. */
export function from(name: string): string {
  return name === '' ? '-' : `[${name}`;
}

export function after(name: string | undefined): string {
  return name === undefined ? '-' : `(${name}`;
}

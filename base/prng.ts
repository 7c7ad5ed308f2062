/** A source of repeatable pseudo-random numbers. Not for secrets. */
export interface Prng {
  /** The next number in [0, 1). */
  next(): number;
  /** A whole number in [0, bound). */
  below(bound: number): number;
}

/** sfc32 (PractRand's small fast counter generator): the same seed gives the same numbers on every machine. */
export function prngFrom(seed: number): Prng {
  let a = 0;
  let b = seed >>> 0;
  let c = Math.floor(seed / 0x1_0000_0000) >>> 0;
  let counter = 1;
  const next32 = () => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  };
  for (let round = 0; round < 12; round += 1) next32();
  const next = () => next32() / 0x1_0000_0000;
  return { next, below: (bound) => Math.floor(next() * bound) };
}

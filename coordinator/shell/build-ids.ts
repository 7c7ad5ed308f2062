import { randomBytes } from 'node:crypto';
import { present } from '../../base/assert.ts';
import type { TimeMs } from '../../base/clock.ts';
import { parseBuildId, type BuildId } from '../core/ids.ts';

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_DIGITS = 10;
const RANDOM_DIGITS = 16;

/**
 * A new build id: ten digits of time and sixteen of chance (80 bits), base 32 without i, l, o and u. Ids of later
 * milliseconds sort after those of earlier ones.
 */
export function newBuildId(now: TimeMs): BuildId {
  let time = '';
  for (let rest = now, digit = 0; digit < TIME_DIGITS; digit += 1) {
    time = `${DIGITS[rest % 32] ?? ''}${time}`;
    rest = Math.floor(rest / 32);
  }
  let chance = '';
  for (let digit = 0; digit < RANDOM_DIGITS; digit += 1) chance += DIGITS[randomByte() % 32] ?? '';
  return present(parseBuildId(`b-${time}${chance}`), 'a made build id is valid');
}

/** Bytes of chance that are fetched at once: a fetch takes longer than all else that a new id takes. */
const POOL_BYTES = 2_048;
let pool = new Uint8Array(0);
let used = 0;

function randomByte(): number {
  if (used === pool.byteLength) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  const byte = pool[used] ?? 0;
  used += 1;
  return byte;
}

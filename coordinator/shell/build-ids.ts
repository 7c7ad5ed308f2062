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
  const chance = Array.from(randomBytes(RANDOM_DIGITS), (byte) => DIGITS[byte % 32] ?? '').join('');
  return present(parseBuildId(`b-${time}${chance}`), 'a made build id is valid');
}

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Changes when the machine starts anew. Where the system does not tell, every question counts as one. */
export function hostBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return randomBytes(16).toString('hex');
  }
}

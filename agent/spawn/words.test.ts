import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WORD_BYTES_MAX, checkCommand, quoteAll } from './words.ts';

/** Text without NUL, as arguments are; heavy on what shells find special. */
const word = fc
  .array(fc.oneof(fc.constantFrom(...'\'"\\$`*?~ \t\n\r;&|<>(){}[]#!=%-'), fc.string({ unit: 'binary' })), { maxLength: 12 })
  .map((parts) => parts.join('').replaceAll('\0', ''));

describe('shell words', () => {
  test('come out of a shell as they went in', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        const wellFormed = words.map((one) => one.toWellFormed());
        const said = execFileSync('sh', ['-c', `printf '%s\\0' ${quoteAll(wellFormed)}`]);
        expect(said.toString().split('\0').slice(0, -1)).toEqual(wellFormed);
      }),
      { numRuns: 60 },
    );
  });

  test('that the kernel would not take are refused with the field and what to do', () => {
    const long = 'x'.repeat(WORD_BYTES_MAX);
    expect(() => checkCommand(['echo', long], {})).not.toThrow();
    expect(() => checkCommand(['echo', `${long}x`], {})).toThrow(/command\[1\].*131072 bytes/);
    expect(() => checkCommand(['echo'], { A: long })).toThrow(/env\.A/);
    expect(() => checkCommand(['echo', ...Array.from({ length: 20 }, () => long)], {})).toThrow(/together/);
    expect(() => checkCommand([''], {})).toThrow(/empty/);
    expect(() => checkCommand(['a'], { 'x=y': '' })).toThrow(/cannot name a variable/);
    expect(() => checkCommand(['a'], { x: '\0' })).toThrow(/NUL/);
  });
});

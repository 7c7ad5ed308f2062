import fc from 'fast-check';
import { expect, test } from 'vitest';
import { freshKeyring } from '../../base/signing.ts';
import { expectFault } from '../../test/contract/blob-store.ts';
import { entryOf, nameOf, plain } from '../../test/contract/entry-store.ts';
import { ENTRY_KINDS } from './check.ts';
import type { Entry } from './entry-store.ts';
import { openRecord, sealEntry } from './record.ts';

const keys = freshKeyring();
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const key = fc.string({ unit: fc.constantFrom('a', 'Z', '9', '-', '/', 'ä', '漢', '😀', ' '), minLength: 1, maxLength: 60 });
const kind = fc.constantFrom(...ENTRY_KINDS);
const scope = fc.constantFrom('main', 'main/pr-7', '.archive');
const entries: fc.Arbitrary<Entry> = fc.record({
  at: fc.record({ kind, owner: fc.record({ project: fc.constantFrom('web', 'api'), scope }), key }),
  value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  parts: fc.array(fc.record({ name: text, value: text }), { maxLength: 5 }),
  provenance: fc.record({
    ...{ build: text, step: text, attempt: text, agent: text, zone: text, caller: text },
    writer: fc.constantFrom('executor', 'client'),
    consumed: fc.array(fc.record({ kind, scope: text, key: text, build: text, agent: text }), { maxLength: 5 }),
  }),
  writtenAt: fc.nat({ max: 2 ** 45 }),
});
const grounds = fc.record({
  packs: fc.array(fc.constantFrom('0'.repeat(32), 'ab'.repeat(16)), { maxLength: 3 }),
  bytes: fc.nat({ max: 2 ** 50 }),
});

test('a record gives back the entry and its ground, and the same entry gives the same record', () => {
  fc.assert(
    fc.property(entries, grounds, (entry, ground) => {
      const record = sealEntry(entry, keys, ground);
      expect(Buffer.compare(record, sealEntry(entry, keys, ground))).toBe(0);
      const opened = openRecord(record, keys);
      if (opened.kind !== 'entry') throw new Error(opened.kind);
      expect(plain(opened.entry)).toEqual(entry);
      expect([opened.ground, opened.keyId]).toEqual([ground, keys.keyId]);
    }),
  );
});

test('a record with any bit changed, or of any other length, is never taken for an entry', () => {
  const record = sealEntry(entryOf(nameOf('npm-1')), keys);
  for (let at = 0; at < record.byteLength; at += 1) {
    const changed = Buffer.from(record);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    expect([at, openRecord(changed, keys).kind]).not.toEqual([at, 'entry']);
    expect(openRecord(record.subarray(0, at), keys).kind).not.toBe('entry');
  }
  expect(openRecord(Buffer.concat([record, Buffer.alloc(1)]), keys).kind).toBe('bad');
});

test('what is too large or too many to be kept is refused, naming the field', async () => {
  const base = entryOf(nameOf('k'));
  const consumed = Array.from({ length: 10_001 }, () => ({ kind: 'action', scope: 'main', key: 'k', build: '', agent: '' }) as const);
  for (const entry of [
    { ...base, provenance: { ...base.provenance, consumed } },
    { ...base, parts: [{ name: 'n', value: 'v'.repeat(4_097) }] },
    { ...base, provenance: { ...base.provenance, step: 's'.repeat(4_097) } },
  ]) {
    await expectFault('TOO_LARGE', (async () => sealEntry(entry, keys))());
  }
});

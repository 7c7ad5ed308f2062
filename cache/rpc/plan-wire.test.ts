import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digestToProto } from '../../proto/convert.ts';
import { loadProto } from '../../proto/load.ts';
import { digestOf, hashOf, type Digest } from '../digest.ts';
import type { BulkPlan } from '../packs/bulk.ts';
import { readDigestRequest } from './digest-request.ts';
import { PLAN_READS, readPlan, writePlan, writePlanRequest } from './plan-wire.ts';

const { PlanReadsRequest, PlanReadsResponse } = loadProto().switchyard.v1;

const count = fc.oneof(fc.nat(300), fc.nat({ max: Number.MAX_SAFE_INTEGER }));
const digest = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 8 }), count).map(([bytes, size]) => {
  return `${hashOf(digestOf(bytes))}-${Math.max(1, size)}` as Digest;
});
const digests = fc.array(digest, { maxLength: 5 });
const frame = fc.record({
  offset: count,
  storedBytes: count,
  rawBytes: count,
  encoding: fc.constantFrom('raw' as const, 'zstd' as const),
  blobs: fc.array(fc.record({ digest, kind: fc.constant('bytes' as const), offset: count, length: count }), { maxLength: 5 }),
});
const plan: fc.Arbitrary<BulkPlan> = fc.record({
  packs: fc.array(fc.record({ url: fc.constantFrom('http://b/p?x=1', 'http://b/ü'), frames: fc.array(frame, { maxLength: 4 }) }), {
    maxLength: 3,
  }),
  large: fc.uniqueArray(fc.record({ digest, parts: digests }), { maxLength: 3, selector: (one) => one.digest }),
  missing: digests,
  urlTtlMs: count,
});

/** The same plan as its definition has it. */
function messageOf({ packs, large, missing, urlTtlMs }: BulkPlan) {
  return {
    packs: packs.map(({ url, frames }) => ({
      url,
      frames: frames.map(({ offset, storedBytes, rawBytes, encoding, blobs }) => ({
        offset: String(offset),
        storedBytes: String(storedBytes),
        rawBytes: String(rawBytes),
        zstd: encoding === 'zstd',
        blobs: blobs.map((blob) => ({ digest: digestToProto(blob.digest), offset: String(blob.offset), length: String(blob.length) })),
      })),
    })),
    large: large.map(({ digest: of, parts }) => ({ digest: digestToProto(of), pieces: parts.map(digestToProto) })),
    notDirect: missing.map(digestToProto),
    urlTtlMs: String(urlTtlMs),
  };
}

test('a plan that is written by hand says what one written by its definition does', () => {
  fc.assert(
    fc.property(plan, (written) => {
      expect(PlanReadsResponse.deserialize(writePlan(written))).toEqual(messageOf(written));
    }),
  );
});

test('a plan that was written by its definition is read as what it says', () => {
  fc.assert(
    fc.property(plan, (meant) => {
      const { packs, large, urlTtlMs } = readPlan(PlanReadsResponse.serialize(messageOf(meant)));
      expect(urlTtlMs).toBe(meant.urlTtlMs);
      expect([...large]).toEqual(meant.large.map(({ digest: of, parts }) => [of, parts]));
      expect(packs).toEqual(
        meant.packs.map(({ url, frames }) => ({
          url,
          frames: frames.map(({ blobs, ...rest }) => ({
            frame: rest,
            blobs: blobs.map(({ digest: of, offset, length }) => ({ digest: of, offset, length })),
          })),
        })),
      );
    }),
  );
});

test('a request that is written by hand is what its definition and the data plane read', () => {
  fc.assert(
    fc.property(fc.constantFrom('', 'web/main', 'wéb'), digests, (instanceName, wanted) => {
      const bytes = writePlanRequest({ instanceName, digests: wanted });
      expect(PlanReadsRequest.deserialize(bytes)).toEqual({ instanceName, digests: wanted.map(digestToProto) });
      const read = readDigestRequest(bytes, PLAN_READS);
      expect(read).toMatchObject({ instanceName, count: wanted.length });
      expect(read.digests()).toEqual(wanted);
    }),
  );
});

test('a plan in which a blob has no digest, or that is cut off, is refused by name', () => {
  const without = PlanReadsResponse.serialize({ packs: [{ url: 'http://b/p', frames: [{ blobs: [{ offset: '1' }] }] }] });
  expect(() => readPlan(without)).toThrow('blobs.digest');
  const whole = writePlan({ packs: [], large: [{ digest: digestOf(Buffer.from('x')), parts: [] }], missing: [], urlTtlMs: 1_000 });
  expect(() => readPlan(whole.subarray(0, 20))).toThrow('PlanReadsResponse');
});

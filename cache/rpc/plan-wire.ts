import { makeClientConstructor, type Client, type ClientUnaryCall, type requestCallback } from '@grpc/grpc-js';
import { loadProto } from '../../proto/load.ts';
import type { Digest } from '../digest.ts';
import type { BlobInFrame, FrameIn } from '../packs/frame.ts';
import type { BulkPlan } from '../packs/bulk.ts';
import { readDigest, writeDigest } from '../wire/digest.ts';
import { WireReader, WireWriter } from '../wire/wire.ts';
import type { DigestMessage } from './digest-request.ts';

/*
 * The call PlanReads by hand: a tree of 65,000 files asks for as many places, and objects made by the definition of each of them cost
 * client and server more than all else about a plan. The bytes are those of PlanReadsRequest and PlanReadsResponse.
 */

/** PlanReadsRequest, for `readDigestRequest`. It names no digest function. */
export const PLAN_READS: DigestMessage = {
  digests: 2,
  digestFunction: -1,
  name: 'digests',
  anyForm: (bytes) => ({ ...loadProto().switchyard.v1.PlanReadsRequest.deserialize(bytes), digestFunction: 'SHA256' }),
};

export type PlanRequest = { readonly instanceName: string; readonly digests: readonly Digest[] };

/** What the data plane said of one frame. */
export type PlannedRead = { readonly frame: Omit<FrameIn, 'pack'>; readonly blobs: readonly BlobInFrame[] };

/** As `BulkPlan`, as it comes to whoever asked. */
export type PlanAnswer = {
  readonly packs: readonly { readonly url: string; readonly frames: readonly PlannedRead[] }[];
  readonly large: ReadonlyMap<Digest, readonly Digest[]>;
  readonly urlTtlMs: number;
};

/** A client of DirectTransfer for this call alone. */
export type PlanClient = Client & { planReads(request: PlanRequest, callback: requestCallback<PlanAnswer>): ClientUnaryCall };

/** To be given to `dial`. */
export function planClientClass(): new (...of: ConstructorParameters<typeof Client>) => PlanClient {
  const { PlanReads } = loadProto().switchyard.v1.DirectTransfer.service;
  const definition = { PlanReads: { ...PlanReads, requestSerialize: writePlanRequest, responseDeserialize: readPlan } };
  // The class is made of the definition, so that it has the method.
  return makeClientConstructor(definition, 'DirectTransfer') as unknown as new (...of: ConstructorParameters<typeof Client>) => PlanClient;
}

export function writePlanRequest({ instanceName, digests }: PlanRequest): Buffer {
  const writer = new WireWriter(128 + digests.length * 80).string(1, instanceName);
  for (const digest of digests) writeDigest(writer, 2, digest);
  return bufferOf(writer.finish());
}

export function writePlan({ packs, large, missing, urlTtlMs }: BulkPlan): Buffer {
  const writer = new WireWriter(64 * 1024);
  for (const { url, frames } of packs) {
    writer.message(1, (pack) => {
      pack.string(1, url);
      for (const { offset, storedBytes, rawBytes, encoding, blobs } of frames) {
        pack.message(2, (frame) => {
          frame
            .varint(1, offset)
            .varint(2, storedBytes)
            .varint(3, rawBytes)
            .varint(4, encoding === 'zstd' ? 1 : 0);
          for (const blob of blobs) {
            frame.message(5, (within) => {
              writeDigest(within, 1, blob.digest);
              within.varint(2, blob.offset).varint(3, blob.length);
            });
          }
        });
      }
    });
  }
  for (const { digest, parts } of large) {
    writer.message(2, (blob) => {
      writeDigest(blob, 1, digest);
      for (const part of parts) writeDigest(blob, 2, part);
    });
  }
  for (const digest of missing) writeDigest(writer, 3, digest);
  return bufferOf(writer.varint(4, urlTtlMs).finish());
}

/** @throws {Fault} BAD_REQUEST naming what cannot be understood */
export function readPlan(bytes: Uint8Array): PlanAnswer {
  const packs: PlanAnswer['packs'][number][] = [];
  const large = new Map<Digest, readonly Digest[]>();
  let urlTtlMs = 0;
  const reader = new WireReader(bytes, 'PlanReadsResponse');
  while (reader.next()) {
    if (reader.field === 1) packs.push(readPack(reader.bytes()));
    else if (reader.field === 2) large.set(...readLarge(reader.bytes()));
    else if (reader.field === 4) urlTtlMs = reader.varint();
  }
  return { packs, large, urlTtlMs };
}

function readPack(bytes: Uint8Array): PlanAnswer['packs'][number] {
  let url = '';
  const frames: PlannedRead[] = [];
  const reader = new WireReader(bytes, 'PackReads');
  while (reader.next()) {
    if (reader.field === 1) url = reader.string();
    else if (reader.field === 2) frames.push(readFrame(reader.bytes()));
  }
  return { url, frames };
}

function readFrame(bytes: Uint8Array): PlannedRead {
  let [offset, storedBytes, rawBytes, zstd] = [0, 0, 0, 0];
  const blobs: BlobInFrame[] = [];
  const reader = new WireReader(bytes, 'FrameRead');
  while (reader.next()) {
    if (reader.field === 1) offset = reader.varint();
    else if (reader.field === 2) storedBytes = reader.varint();
    else if (reader.field === 3) rawBytes = reader.varint();
    else if (reader.field === 4) zstd = reader.varint();
    else if (reader.field === 5) blobs.push(readBlob(reader.bytes()));
  }
  return { frame: { offset, storedBytes, rawBytes, encoding: zstd === 0 ? 'raw' : 'zstd' }, blobs };
}

function readBlob(bytes: Uint8Array): BlobInFrame {
  let digest: Digest | undefined;
  let [offset, length] = [0, 0];
  const reader = new WireReader(bytes, 'BlobInFrame');
  while (reader.next()) {
    if (reader.field === 1) digest = readDigest(reader.bytes(), 'blobs.digest');
    else if (reader.field === 2) offset = reader.varint();
    else if (reader.field === 3) length = reader.varint();
  }
  return { digest: digest ?? readDigest(new Uint8Array(0), 'blobs.digest'), offset, length };
}

function readLarge(bytes: Uint8Array): readonly [Digest, readonly Digest[]] {
  let digest: Digest | undefined;
  const pieces: Digest[] = [];
  const reader = new WireReader(bytes, 'LargeBlob');
  while (reader.next()) {
    if (reader.field === 1) digest = readDigest(reader.bytes(), 'large.digest');
    else if (reader.field === 2) pieces.push(readDigest(reader.bytes(), 'large.pieces'));
  }
  return [digest ?? readDigest(new Uint8Array(0), 'large.digest'), pieces];
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

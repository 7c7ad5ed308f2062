import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { lengthOf, piecesOf } from './object-body.ts';
import { checkObjectKey, spanOfObject } from './object-key.ts';
import type { ObjectBody, ObjectInfo, ObjectStore } from './object-store.ts';

export type MemoryObjectsOptions = {
  readonly clock: Clock;
  /** Whether `ifAbsent` is atomic; where it is not, two puts at the same time may both succeed. @default true */
  readonly conditionalPut?: boolean;
};

/** A bucket in memory, for tests and simulation. */
export interface MemoryObjects extends ObjectStore {
  /** What is there, by key, in the order of keys. A test may look at the bytes, and change them to damage an object. */
  contents(): ReadonlyMap<string, Uint8Array>;
}

type Stored = { readonly bytes: Uint8Array; readonly modifiedAt: number };

/** Opens an empty bucket. Each call takes effect in one step, after at least one turn of the event loop. */
export function memoryObjects({ clock, conditionalPut = true }: MemoryObjectsOptions): MemoryObjects {
  const objects = new Map<string, Stored>();
  const sortedKeys = () => [...objects.keys()].toSorted((a, b) => (a < b ? -1 : 1)); // all of ASCII
  return {
    traits: { conditionalPut, presigned: false, shared: false },
    async put(key, body, { ifAbsent }, signal) {
      begin(key, signal);
      // Not atomic: looked at before the bytes are read, as endpoints do that have no conditions.
      const wasThere = objects.has(key);
      const bytes = await copyOf(key, body);
      begin(key, signal);
      if (ifAbsent && (conditionalPut ? objects.has(key) : wasThere)) {
        throw new Fault('OBJECT_EXISTS', `Object ${key} is there already`);
      }
      objects.set(key, { bytes, modifiedAt: clock.now() });
    },
    async *get(key, range, signal) {
      begin(key, signal);
      await Promise.resolve();
      const object = objects.get(key);
      if (object === undefined) throw new Fault('OBJECT_UNKNOWN', `Object ${key} is not in the bucket`);
      const { start, length } = spanOfObject(key, object.bytes.byteLength, range);
      if (length > 0) yield object.bytes.subarray(start, start + length);
    },
    async head(key, signal) {
      begin(key, signal);
      await Promise.resolve();
      const object = objects.get(key);
      return object && infoOf(key, object);
    },
    async *list(prefix, { after }, signal) {
      for (const key of sortedKeys()) {
        if (signal.aborted) throw cancelled(prefix, signal);
        if (!key.startsWith(prefix) || (after !== undefined && key <= after)) continue;
        await Promise.resolve();
        const object = objects.get(key);
        if (object !== undefined) yield infoOf(key, object);
      }
    },
    async copy(from, to, signal) {
      begin(from, signal);
      begin(to, signal);
      await Promise.resolve();
      const object = objects.get(from);
      if (object === undefined) throw new Fault('OBJECT_UNKNOWN', `Object ${from} is not in the bucket`);
      objects.set(to, { bytes: Uint8Array.from(object.bytes), modifiedAt: clock.now() });
    },
    async delete(key, signal) {
      begin(key, signal);
      await Promise.resolve();
      objects.delete(key);
    },
    abortUploads: async () => 0,
    presignGet: noUrls,
    presignPut: noUrls,
    contents: () => new Map(sortedKeys().flatMap((key) => [[key, objects.get(key)?.bytes ?? new Uint8Array(0)] as const])),
    async [Symbol.asyncDispose]() {},
  };
}

function infoOf(key: string, object: Stored): ObjectInfo {
  return { key, sizeBytes: object.bytes.byteLength, modifiedAt: object.modifiedAt };
}

function begin(key: string, signal: AbortSignal): void {
  checkObjectKey(key);
  if (signal.aborted) throw cancelled(key, signal);
}

function cancelled(key: string, signal: AbortSignal): Fault {
  return new Fault('CANCELLED', `Object ${key}: the caller gave up`, { cause: signal.reason });
}

function noUrls(): never {
  throw new Fault('UNIMPLEMENTED', 'A bucket in memory has no URLs');
}

/** A copy of the body's bytes, taken after a turn of the event loop. @throws {Fault} BAD_REQUEST where it has not as many as it says. */
async function copyOf(key: string, body: ObjectBody): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of piecesOf(key, body, lengthOf(body))) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

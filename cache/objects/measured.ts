import type { Clock } from '../../base/clock.ts';
import { isFault, type FaultCode } from '../../base/fault.ts';
import type { ObjectCall, StoreMeasures } from '../metrics/store-measures.ts';
import { lengthOf } from './object-body.ts';
import type { ObjectStore } from './object-store.ts';

/** Answers that are no trouble of the store: the caller looked for what is not there, or made what is. */
const ANSWERS: ReadonlySet<FaultCode> = new Set(['OBJECT_UNKNOWN', 'OBJECT_EXISTS', 'OUT_OF_RANGE']);

/**
 * Tells of every call, with its time and how it ended. Costs two looks at the clock. Right above the bucket, so that what others answer
 * from memory is not counted.
 */
export function withObjectMeasures(next: ObjectStore, measures: StoreMeasures, clock: Pick<Clock, 'monotonic'>): ObjectStore {
  const begin = (call: ObjectCall) => {
    const startedAt = clock.monotonic();
    return {
      ended: () => measures.objectCall(call, 'ok', clock.monotonic() - startedAt),
      failed: (error: unknown) => {
        const code = isFault(error) ? error.code : 'INTERNAL';
        measures.objectCall(call, ANSWERS.has(code) ? 'ok' : code, clock.monotonic() - startedAt);
      },
    };
  };
  const measured = async <T>(call: ObjectCall, work: Promise<T>): Promise<T> => {
    const { ended, failed } = begin(call);
    try {
      const value = await work;
      ended();
      return value;
    } catch (error) {
      failed(error);
      throw error;
    }
  };
  async function* over<T>(call: ObjectCall, source: AsyncIterable<T>, onItem: (item: T) => void): AsyncGenerator<T, void, undefined> {
    const { ended, failed } = begin(call);
    try {
      for await (const item of source) {
        onItem(item);
        yield item;
      }
    } catch (error) {
      failed(error);
      throw error;
    }
    ended(); // one that its reader left early is neither
  }
  return {
    get traits() {
      return next.traits;
    },
    async put(key, body, options, signal) {
      await measured('put', next.put(key, body, options, signal));
      measures.objectBytes('in', lengthOf(body));
    },
    get: (key, range, signal) => over('get', next.get(key, range, signal), (bytes) => measures.objectBytes('out', bytes.byteLength)),
    head: (key, signal) => measured('head', next.head(key, signal)),
    list: (prefix, options, signal) => over('list', next.list(prefix, options, signal), () => {}),
    copy: (from, to, signal) => measured('put', next.copy(from, to, signal)),
    delete: (key, signal) => measured('delete', next.delete(key, signal)),
    abortUploads: (prefix, before, signal) => measured('abort-uploads', next.abortUploads(prefix, before, signal)),
    presignGet: (key, ttlMs) => next.presignGet(key, ttlMs),
    presignPut: (key, content, ttlMs) => next.presignPut(key, content, ttlMs),
    [Symbol.asyncDispose]: () => next[Symbol.asyncDispose](),
  };
}

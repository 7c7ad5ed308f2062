import { formatSizeBytes } from '../base/quantity.ts';
import { Fault } from '../base/fault.ts';
import { sizeOf } from './digest.ts';
import type { StoreOf } from './store-view.ts';

/** Of a bounded store so much is left for what comes with its largest blob: the log of its step, directories, inputs. */
const LEFT_SHARE = 16;

/**
 * Refuses a blob that would have to go again for the next ones, before any of its bytes is taken: who needs it would never find it.
 * Put around a store that makes room by removing what was used least.
 */
export function withLargestBlob(storeOf: StoreOf, limitBytes: number): StoreOf {
  const mostBytes = limitBytes - Math.floor(limitBytes / LEFT_SHARE);
  return (view) => {
    const next = storeOf(view);
    return {
      ...next,
      async put(digest, source, signal) {
        if (sizeOf(digest) > mostBytes) throw tooLarge(sizeOf(digest), mostBytes, limitBytes);
        await next.put(digest, source, signal);
      },
    };
  };
}

function tooLarge(bytes: number, mostBytes: number, limitBytes: number): Fault {
  const [size, most, limit] = [bytes, mostBytes, limitBytes].map(formatSizeBytes);
  const text = `A blob of ${size} bytes cannot be kept in a store of ${limit}: one has at most ${most}, so that others have room beside it`;
  return new Fault('TOO_LARGE', text, {
    hint: 'Give the data plane more room (--max-bytes; --cache-bytes of its coordinator), or make the output smaller.',
  });
}

import { parentPort } from 'node:worker_threads';
import { isFault } from '../../base/fault.ts';
import { placeBytes } from '../tree/place.ts';
import type { WriteAnswer, WriteRequest } from './file-writers.ts';

/** The thread behind `openFileWriters`: verifies and writes the files of each request, in order, and stops at the first that fails. */
parentPort?.on('message', ({ id, files, bytes }: WriteRequest) => {
  const all = new Uint8Array(bytes);
  let answer: WriteAnswer = { id };
  for (const { path, digest, mode, mtimeS, offset, length } of files) {
    try {
      placeBytes(path, digest, mode, all.subarray(offset, offset + length), mtimeS);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
      answer = { id, failure: { fault: isFault(error), code, message, path } };
      break;
    }
  }
  parentPort?.postMessage(answer);
});

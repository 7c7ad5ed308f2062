import { parentPort } from 'node:worker_threads';
import { isFault } from '../../base/fault.ts';
import { codeOf, reasonOf } from '../../base/thrown.ts';
import { placeBytes } from '../tree/place.ts';
import type { FileAnswer, FileRequest, FileToWrite } from './file-writers.ts';
import { linkDirectories } from './link-tree.ts';

/** Entries that one call makes: some ten milliseconds, so that threads find work to share. */
const LINKED_AT_ONCE = 1_024;

/** The thread behind `openFileWriters`: answers one request after the other. */
parentPort?.on('message', (request: FileRequest) => {
  parentPort?.postMessage(request.kind === 'write' ? written(request.id, request) : linked(request.id, request));
});

/** Verifies and writes the files in order, and stops at the first that fails. */
function written(id: number, { files, bytes }: { readonly files: readonly FileToWrite[]; readonly bytes: ArrayBuffer }): FileAnswer {
  const all = new Uint8Array(bytes);
  for (const { path, digest, mode, mtimeS, offset, length } of files) {
    try {
      placeBytes(path, digest, mode, all.subarray(offset, offset + length), mtimeS);
    } catch (error) {
      return failed(id, error, path);
    }
  }
  return { id };
}

function linked(id: number, { directories }: Extract<FileRequest, { kind: 'link' }>): FileAnswer {
  try {
    return { id, left: linkDirectories(directories, LINKED_AT_ONCE) };
  } catch (error) {
    return failed(id, error);
  }
}

function failed(id: number, error: unknown, path?: string): FileAnswer {
  const message = reasonOf(error);
  return { id, failure: { fault: isFault(error), code: codeOf(error), message, ...(path === undefined ? {} : { path }) } };
}

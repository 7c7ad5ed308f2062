import fs from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { unreachable } from '../../base/assert.ts';
import { isFault } from '../../base/fault.ts';
import { codeOf, reasonOf } from '../../base/thrown.ts';
import type { Digest } from '../digest.ts';
import { decodeFrameHere } from '../packs/frame.ts';
import { placeBytes } from '../tree/place.ts';
import type { FileAnswer, FileRequest, FileToWrite } from './file-writers.ts';
import { linkDirectories } from './link-tree.ts';

/** Entries that one call makes: some ten milliseconds, so that threads find work to share. */
const LINKED_AT_ONCE = 1_024;

/** The thread behind `openFileWriters`: answers one request after the other. */
parentPort?.on('message', (request: FileRequest) => parentPort?.postMessage(answered(request)));

function answered(request: FileRequest): FileAnswer {
  switch (request.kind) {
    case 'write':
      return written(request);
    case 'unpack':
      return unpacked(request);
    case 'link':
      return linkedTrees(request);
    default:
      return unreachable(request);
  }
}

/** Stops at the first file that fails. */
function written({ id, files, bytes }: Extract<FileRequest, { kind: 'write' }>): FileAnswer {
  return attempted(id, (at) => {
    placeAll(files, new Uint8Array(bytes), at);
    return {};
  });
}

/** Stops at the first file that fails for another reason than its bytes. */
function unpacked({ id, frames, bytes }: Extract<FileRequest, { kind: 'unpack' }>): FileAnswer {
  return attempted(id, (at) => {
    const damaged = new Set<Digest>();
    for (const { frame, at: from, files } of frames) {
      try {
        const raw = decodeFrameHere(frame, new Uint8Array(bytes, from, frame.storedBytes));
        placeAll(files, raw, at, damaged);
      } catch (error) {
        if (!isFault(error, 'BLOB_CORRUPT')) throw error;
        for (const { digest } of files) damaged.add(digest);
      }
    }
    return { damaged: [...damaged] };
  });
}

type At = { path?: string };

/**
 * Verifies and writes the files in order. Those of the same bytes, mode and time that come one after the other become one file of several
 * names, where the file system lets them. `damaged` gets those whose bytes are other ones, else the first of them is thrown.
 */
function placeAll(files: readonly FileToWrite[], bytes: Uint8Array, at: At, damaged?: Set<Digest>): void {
  let made: FileToWrite | undefined;
  for (const file of files) {
    const { path, digest, mode, mtimeS, offset, length } = file;
    at.path = path;
    if (damaged?.has(digest) === true || (made !== undefined && isAlike(made, file) && linked(made.path, path))) continue;
    try {
      placeBytes(path, digest, mode, bytes.subarray(offset, offset + length), mtimeS);
      made = file;
    } catch (error) {
      if (damaged === undefined || !isFault(error, 'BLOB_CORRUPT')) throw error;
      damaged.add(digest);
    }
  }
}

function attempted(id: number, work: (at: At) => Omit<FileAnswer, 'id'>): FileAnswer {
  const at: At = {};
  try {
    return { id, ...work(at) };
  } catch (error) {
    return failed(id, error, at.path);
  }
}

function isAlike(one: FileToWrite, other: FileToWrite): boolean {
  return one.digest === other.digest && one.mode === other.mode && one.mtimeS === other.mtimeS;
}

/** Whether it could be made a second name. Where not, as beyond the limit of names, it is written, which finds out what is wrong. */
function linked(existing: string, made: string): boolean {
  try {
    fs.linkSync(existing, made);
    return true;
  } catch {
    return false;
  }
}

function linkedTrees({ id, directories }: Extract<FileRequest, { kind: 'link' }>): FileAnswer {
  return attempted(id, () => ({ left: linkDirectories(directories, LINKED_AT_ONCE) }));
}

function failed(id: number, error: unknown, path?: string): FileAnswer {
  const message = reasonOf(error);
  return { id, failure: { fault: isFault(error), code: codeOf(error), message, ...(path === undefined ? {} : { path }) } };
}

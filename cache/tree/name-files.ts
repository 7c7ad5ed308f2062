import path from 'node:path';
import { isFault, wrap } from '../../base/fault.ts';
import type { FileToPlace } from './materialise.ts';

/** Runs `place`, whose faults tell digests: the file below `top` that the blob should have become says more, and is put in front. */
export async function namingFiles(files: readonly FileToPlace[], top: string, place: () => Promise<void>): Promise<void> {
  try {
    await place();
  } catch (error) {
    const file = isFault(error) ? files.find(({ digest }) => error.message.includes(digest)) : undefined;
    throw isFault(error) && file !== undefined ? wrap(error, `Making "${path.relative(top, file.path)}"`) : error;
  }
}

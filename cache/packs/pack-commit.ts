import { Fault, isFault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { ObjectBody } from '../objects/object-store.ts';
import type { Hold, Owner, PackName } from '../store-index/store-index.ts';
import type { PackContext } from './context.ts';
import { encodeFooter, packOf, type Footer } from './format.ts';
import { newPackName, packKey } from './names.ts';
import type { OpenPack } from './open-pack.ts';
import { inTries } from './tries.ts';

export type PackMaker = { readonly owner: Owner; readonly producer: string };

/**
 * Makes the pack durable, and then known to the index. Each try to put it has a name of its own, since nobody can tell what became of
 * one that failed. A crash in between leaves an object that nobody knows, for garbage collection.
 * @param holdOf the hold under which the index takes it, asked for anew where the index began another epoch.
 * @throws {Fault} STORE_UNAVAILABLE, STORE_FULL
 */
export async function commitPack(
  context: PackContext,
  { owner, producer }: PackMaker,
  pack: OpenPack,
  holdOf: (isNew: boolean) => Promise<Hold>,
  prng: Prng,
): Promise<PackName> {
  const { objects, index, settings, counters, life } = context;
  const frames = await pack.frames();
  const again = { prng, signal: life };
  return await inTries(
    settings.triesCount,
    async () => {
      const begunAt = await index.now(life);
      const footer: Footer = { owner, producer, writtenAt: begunAt, frames, rows: pack.rows };
      const end = encodeFooter(footer);
      const sizeBytes = frames.reduce((sum, { storedBytes }) => sum + storedBytes, end.byteLength);
      const body: ObjectBody = {
        lengthBytes: sizeBytes,
        async *open() {
          for (const { bytes } of frames) yield bytes;
          yield end;
        },
      };
      const name = newPackName();
      try {
        await objects.put(packKey(name), body, { ifAbsent: objects.traits.conditionalPut }, life);
      } catch (error) {
        if (!isFault(error, 'OBJECT_EXISTS')) throw error;
        // Nobody else draws the same 128 bits: a try of the client below us came through, and nobody heard of it. Looked at all the same.
        const there = await objects.head(packKey(name), life);
        if (there?.sizeBytes !== sizeBytes) throw new Fault('STORE_UNAVAILABLE', `Pack ${name} was put in doubt`, { cause: error });
      }
      const made = packOf(name, sizeBytes, footer, begunAt);
      let isNewHold = false;
      await inTries(
        settings.triesCount,
        async () => {
          try {
            await index.addPack(made, await holdOf(isNewHold), life);
          } catch (error) {
            if (isFault(error, 'PACK_GONE')) throw error;
            isNewHold = isFault(error, 'HOLD_LOST');
            if (isNewHold) throw new Fault('STORE_UNAVAILABLE', 'The index has begun another epoch', { cause: error });
            throw error;
          }
        },
        again,
      ).catch((error: unknown) => {
        if (isFault(error, 'PACK_GONE')) throw new Fault('STORE_UNAVAILABLE', `Pack ${name} was added too late`, { cause: error });
        throw error;
      });
      counters.packsPut += 1;
      counters.packBytesPut += sizeBytes;
      return name;
    },
    {
      ...again,
      onRetry: (error) => {
        counters.putsRetried += 1;
        context.env.log.warn('pack-not-stored', { error });
      },
    },
  );
}

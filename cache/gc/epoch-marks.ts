import { Fault } from '../../base/fault.ts';
import type { ObjectStore } from '../objects/object-store.ts';

/**
 * Marks of epochs: `g/<number>-<epoch>`, one for each epoch of the index that was ever opened, in their order. The store itself
 * says by them which index it belongs to: who finds another epoch than its own in the last one deletes nothing any more.
 */
export type EpochMark = { readonly number: number; readonly epoch: string; readonly key: string };

const PREFIX = 'g/';
const FORM = /^g\/([0-9]{12})-([0-9a-f]{32})$/;

/** All marks, in their order. */
export async function epochMarks(objects: ObjectStore, signal: AbortSignal): Promise<readonly EpochMark[]> {
  const marks: EpochMark[] = [];
  for await (const { key } of objects.list(PREFIX, {}, signal)) {
    const [, number, epoch] = FORM.exec(key) ?? [];
    if (number !== undefined && epoch !== undefined) marks.push({ number: Number(number), epoch, key });
  }
  return marks;
}

/** The epoch that was opened last; undefined where none ever was. */
export async function lastEpoch(objects: ObjectStore, signal: AbortSignal): Promise<string | undefined> {
  return (await epochMarks(objects, signal)).at(-1)?.epoch;
}

/**
 * Makes the epoch the last one, durably, under a number above `marks`, which the caller read before it last saw the index in this
 * epoch: so nobody who is late comes after an epoch that has begun since, but for one of the same number (see `repairMark`).
 * @throws {Fault} WRONG_STATE where another one is opened at the same time: begin again
 */
export async function markEpoch(objects: ObjectStore, epoch: string, marks: readonly EpochMark[], signal: AbortSignal): Promise<void> {
  const last = marks.at(-1);
  if (last?.epoch !== epoch) await putMark(objects, epoch, (last?.number ?? 0) + 1, signal);
  const now = await lastEpoch(objects, signal);
  if (now === epoch) return;
  throw new Fault('WRONG_STATE', `Another index of the same bucket was opened at the same time (epoch ${now})`, {
    hint: 'A bucket and prefix belong to one index: check that all data planes have the same --redis-url and --redis-prefix.',
  });
}

/**
 * Whether the epoch, in which the index was just seen open, is the last one. Where a mark of the same number came late, of an epoch
 * that was over before it was opened, this one is marked again: whoever really came after it has a higher number.
 */
export async function repairMark(objects: ObjectStore, epoch: string, signal: AbortSignal): Promise<string | undefined> {
  const marks = await epochMarks(objects, signal);
  const last = marks.at(-1);
  const own = marks.findLast((mark) => mark.epoch === epoch);
  if (own === undefined || last?.epoch === epoch || last?.number !== own.number) return last?.epoch;
  await putMark(objects, epoch, own.number + 1, signal);
  return await lastEpoch(objects, signal);
}

async function putMark(objects: ObjectStore, epoch: string, number: number, signal: AbortSignal): Promise<void> {
  const key = `${PREFIX}${String(number).padStart(12, '0')}-${epoch}`;
  await objects.put(key, Buffer.from(`opened ${epoch}\n`), { ifAbsent: false }, signal);
}

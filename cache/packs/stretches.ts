import type { FrameIn } from './frame.ts';

/** Bytes between two wanted frames that are read along: cheaper than another request. */
const GAP_BYTES = 512 * 1024;

type InFrame = { readonly frame: FrameIn };

/** What one request serves each, of at most `rangeBytes` (or one frame), by pack and place. */
export function stretches<T extends InFrame>(items: readonly T[], rangeBytes: number): readonly (readonly T[])[] {
  const sorted = items.toSorted((a, b) =>
    a.frame.pack === b.frame.pack ? a.frame.offset - b.frame.offset : a.frame.pack < b.frame.pack ? -1 : 1,
  );
  return stretchesInOrder(sorted, rangeBytes);
}

/** As `stretches`, of items that are wanted in the order in which they come: only neighbours that lie one after the other go together. */
export function stretchesInOrder<T extends InFrame>(items: readonly T[], rangeBytes: number): readonly (readonly T[])[] {
  const found: T[][] = [];
  for (const item of items) {
    const open = found.at(-1);
    const first = open?.[0];
    const last = open?.at(-1);
    const end = last === undefined ? 0 : endOf(last);
    const fits =
      first !== undefined &&
      first.frame.pack === item.frame.pack &&
      item.frame.offset >= end &&
      item.frame.offset - end <= GAP_BYTES &&
      endOf(item) - first.frame.offset <= rangeBytes;
    if (fits) open?.push(item);
    else found.push([item]);
  }
  return found;
}

function endOf({ frame }: InFrame): number {
  return frame.offset + frame.storedBytes;
}

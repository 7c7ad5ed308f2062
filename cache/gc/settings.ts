/** What garbage collection goes by. Times are durations in ms. */
export type GcSettings = {
  /** An entry that nobody has used for so long goes. @default 30 days */
  readonly entryRetentionMs: number;
  /** A pack to which no entry refers goes when its blobs were not used for so long. At least an hour. @default 1 day */
  readonly packRetentionMs: number;
  /**
   * Between the durable condemn record and the deletion of a pack: longer than any URL or hold that was given out lasts.
   * @default 1 hour
   */
  readonly graceMs: number;
  /** A deleted pack's name is remembered, with its condemn record, for so long: longer than `ADD_WITHIN_MS`. @default 7 days */
  readonly rememberMs: number;
  /** Objects that no row of the index names are garbage once they are so old: longer than any upload takes. @default 1 day */
  readonly orphanMs: number;
  /** A commit that stands half done for so long is finished, or undone. @default 15 minutes */
  readonly pendingMs: number;
  /** Most packs that one pass condemns, and deletes; the others wait for the next. @default 2000 */
  readonly passPacksMax: number;
  /** Objects that are deleted or looked at at once. @default 8 */
  readonly atOnce: number;
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const GC_SETTINGS: GcSettings = {
  entryRetentionMs: 30 * DAY,
  packRetentionMs: DAY,
  graceMs: HOUR,
  rememberMs: 7 * DAY,
  orphanMs: DAY,
  pendingMs: 15 * MINUTE,
  passPacksMax: 2_000,
  atOnce: 8,
};

import type { GcSettings } from '../../../cache/gc/settings.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** URLs and holds last no longer than this, and less than the grace time. */
export const URL_MS = 20 * MINUTE;
export const HOLD_MS = 20 * MINUTE;
export const ENTRY_RETENTION_MS = 60 * HOUR;
/** Most time between a collector's scrubs. */
export const SCRUB_EVERY_MS = 24 * HOUR;

/** As short as the promises allow, so that a run of days sees everything often. */
export const SIM_SETTINGS: GcSettings = {
  entryRetentionMs: ENTRY_RETENTION_MS,
  packRetentionMs: 0,
  graceMs: 40 * MINUTE,
  rememberMs: 30 * HOUR,
  orphanMs: 6 * HOUR,
  pendingMs: 15 * MINUTE,
  passPacksMax: 50,
  atOnce: 2,
};

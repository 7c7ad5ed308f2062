/**
 * Quantities as people write them: `30s`, `2Gi`, `500m`. Every parser answers undefined for text that it does not know,
 * so that the caller can name the field; `QUANTITY_FORMS` says what would have been right.
 */
export const QUANTITY_FORMS = {
  duration: 'a number and one of ms, s, m, h, d, such as 30s or 1h30m',
  size: 'a number of bytes or one with Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (of 1000), such as 2Gi',
  cpu: 'a number of cores or of thousandths with m, such as 2, 0.5 or 500m',
} as const;

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};
const NUMBER = '(\\d{1,15}(?:\\.\\d{1,9})?)';
const DURATION = new RegExp(`^(?:${NUMBER}(ms|s|m|h|d))+$`);
const DURATION_PART = new RegExp(`${NUMBER}(ms|s|m|h|d)`, 'g');
const SIZE = new RegExp(`^${NUMBER}(Ki|Mi|Gi|Ti|k|M|G|T|)$`);
const CPU = new RegExp(`^${NUMBER}(m?)$`);
const PLAIN = new RegExp(`^-?${NUMBER}$`);
const VERSION = /^v?(\d{1,9}(?:\.\d{1,9}){1,7})$/;

/** `30s`, `1h30m`, `250ms` as whole milliseconds; `0` needs no unit. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (!DURATION.test(text)) return undefined;
  let totalMs = 0;
  for (const [, number = '', unit = ''] of text.matchAll(DURATION_PART)) totalMs += Number(number) * (DURATION_UNITS[unit] ?? Number.NaN);
  return wholeOrUndefined(totalMs);
}

/** `2Gi`, `500M`, `4096` as whole bytes. */
export function parseSizeBytes(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  return wholeOrUndefined(Number(match[1]) * (SIZE_UNITS[match[2] ?? ''] ?? Number.NaN));
}

/** `2`, `0.5`, `500m` as thousandths of a core. */
export function parseCpuMillis(text: string): number | undefined {
  const match = CPU.exec(text);
  if (match === null) return undefined;
  return wholeOrUndefined(Number(match[1]) * (match[2] === 'm' ? 1 : 1_000));
}

/** Milliseconds in the largest units that say it exactly: `1h30m`, `250ms`. */
export function formatDurationMs(durationMs: number): string {
  if (durationMs <= 0) return '0s';
  let rest = Math.round(durationMs);
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = DURATION_UNITS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** Bytes for people, to three figures: `2Gi`, `1.5Mi`, `312`. */
export function formatSizeBytes(bytes: number): string {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki']) {
    const size = SIZE_UNITS[unit] ?? 1;
    if (bytes >= size) return `${Number((bytes / size).toPrecision(3))}${unit}`;
  }
  return String(bytes);
}

/** Something that can be compared by size: a number (`8Gi`, `500m`, `-3`, `2.5`) or a version (`1.28.3`, `v20.1`). */
export type Quantity =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'version'; readonly parts: readonly number[] };

/** A moment (milliseconds since the Unix epoch) for people, in UTC to the second: `2026-03-01T09:30:00Z`. */
export function formatInstant(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

/**
 * A label's value, or what a selector compares it with. Text with exactly one dot and no unit (`22.04`) is a version when
 * the other side is one, see `compareQuantities`; here it reads as a number.
 */
export function parseQuantity(text: string): Quantity | undefined {
  if (PLAIN.test(text)) return { kind: 'number', value: Number(text) };
  const version = VERSION.exec(text)?.[1];
  if (version !== undefined) return { kind: 'version', parts: version.split('.').map(Number) };
  const value = parseSizeNumber(text);
  return value === undefined ? undefined : { kind: 'number', value };
}

/** Negative, 0 or positive, as `left` is less, equal or more; undefined where either is no quantity. */
export function compareQuantities(left: string, right: string): number | undefined {
  const a = parseQuantity(left);
  const b = parseQuantity(right);
  if (a === undefined || b === undefined) return undefined;
  if (a.kind === 'number' && b.kind === 'number') return a.value - b.value;
  const aParts = a.kind === 'version' ? a.parts : versionParts(left);
  const bParts = b.kind === 'version' ? b.parts : versionParts(right);
  if (aParts === undefined || bParts === undefined) return undefined;
  for (let index = 0; index < Math.max(aParts.length, bParts.length); index += 1) {
    const difference = (aParts[index] ?? 0) - (bParts[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A plain number as the version that it also is: `22.04` is 22, 4. */
function versionParts(text: string): readonly number[] | undefined {
  return /^\d{1,9}(\.\d{1,9})?$/.test(text) ? text.split('.').map(Number) : undefined;
}

function parseSizeNumber(text: string): number | undefined {
  const size = SIZE.exec(text);
  if (size !== null) return Number(size[1]) * (SIZE_UNITS[size[2] ?? ''] ?? Number.NaN);
  const milli = CPU.exec(text);
  return milli === null ? undefined : Number(milli[1]) / 1_000;
}

function wholeOrUndefined(value: number): number | undefined {
  const whole = Math.round(value);
  return Number.isSafeInteger(whole) ? whole : undefined;
}

import { displayWidth, pad } from './width.ts';

/** A span of time for people: `0.4s`, `12.3s`, `1m05s`, `2h03m`. */
export function formatTime(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1_000);
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3_600)}h${two(Math.floor((seconds % 3_600) / 60))}m`;
}

/** A number of bytes for people: `312 B`, `1.5 KiB`, `2 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${Number(value.toPrecision(3))} ${units[unit] ?? 'B'}`;
}

/** `1 step`, `2 steps`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

/** Colours by meaning. Without colour every function returns its argument. */
export type Style = {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly live: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
};

export function styleFor(color: boolean): Style {
  const with_ = (open: number, close: number) => (text: string) => (color ? `\u001b[${open}m${text}\u001b[${close}m` : text);
  return { good: with_(32, 39), bad: with_(31, 39), warn: with_(33, 39), live: with_(36, 39), dim: with_(2, 22), bold: with_(1, 22) };
}

/** Text of others on one line: control characters could move the cursor or hide what is there. */
export function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ').trim();
}

/** A line of a log: everything that steers a terminal goes, but colours where they are wanted; they end with the line. */
export function printableLog(line: string, color: boolean): string {
  const clean = line
    .replaceAll(/\u001b\[[0-9;]*m/g, (sequence) => (color ? sequence.replace('\u001b', '\ue000') : ''))
    .replaceAll(/\u001b\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007\u001b]*(\u0007|\u001b\\)?/g, '')
    .replace(/\r+$/, '')
    .replace(/^.*\r/s, '') // a carriage return writes the line anew: what came last is what people saw
    .replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, '');
  return clean.includes('\ue000[') ? `${clean.replaceAll('\ue000[', '\u001b[')}\u001b[0m` : clean;
}

/** Cells as aligned columns, two spaces apart; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, displayWidth(cell))));
  return rows.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : pad(cell, widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

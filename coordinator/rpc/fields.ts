import { Fault } from '../../base/fault.ts';
import { LIMITS } from '../core/limits.ts';

/*
 * Readers of request fields: each returns the checked value or throws BAD_REQUEST with the field's name and the fix. Fields are
 * named as the .proto files write them (`steps[3].run_timeout_ms`).
 */

/** Longest duration that a request may name: 30 days. */
export const DURATION_MS_MAX = 30 * 24 * 3_600_000;

export function bad(field: string, fix: string): Fault {
  return new Fault('BAD_REQUEST', `${field} ${fix}`, { field });
}

/** `text` of `min` to `max` characters without control characters. */
export function textField(text: string, field: string, min: number, max: number): string {
  if (text.length < min || text.length > max) throw bad(field, `must have ${min} to ${max} characters, but has ${text.length}`);
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[\u0000-\u001f\u007f]/.test(text)) throw bad(field, 'must not contain control characters');
  return text;
}

/** A whole number within bounds. int64 comes as text. */
export function wholeField(value: string | number, field: string, min: number, max: number): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < min || number > max)
    throw bad(field, `must be a whole number from ${min} to ${max}, but is ${value}`);
  return number;
}

/** A duration in milliseconds, or `fallback` where the message says 0. */
export function durationField<T>(value: string | number, field: string, fallback: T): number | T {
  const ms = wholeField(value, field, 0, DURATION_MS_MAX);
  return ms === 0 ? fallback : ms;
}

/** Names such as those of environment variables. */
export function variableField(name: string, field: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name))
    throw bad(field, `must name a variable (letters, digits and "_"), but is "${brief(name)}"`);
  return name;
}

/** Free labels: at most `LIMITS.labelsPerBuild`, keys and values of at most `LIMITS.labelBytes`. */
export function labelsField(labels: Readonly<Record<string, string>>, field: string): Readonly<Record<string, string>> {
  const entries = Object.entries(labels);
  if (entries.length > LIMITS.labelsPerBuild) throw bad(field, `has ${entries.length} entries, at most ${LIMITS.labelsPerBuild} are kept`);
  for (const [key, value] of entries) {
    textField(key, `${field} key "${brief(key)}"`, 1, LIMITS.labelBytes);
    textField(value, `${field}["${brief(key)}"]`, 0, LIMITS.labelBytes);
  }
  return sorted(labels);
}

/**
 * A path below some root, in its shortest form: relative, `/` between names, no `.` or `..`. Empty only where `rootAllowed`.
 * @throws {Fault} BAD_REQUEST; PATH_ESCAPES where the path leads out.
 */
export function pathField(path: string, field: string, rootAllowed: boolean): string {
  if (path.length > 4_096) throw bad(field, `must have at most 4096 characters, but has ${path.length}`);
  if (path.includes('\0')) throw bad(field, 'must not contain NUL characters');
  const shown = brief(path);
  const outside = (why: string) =>
    new Fault('PATH_ESCAPES', `${field} "${shown}" ${why}`, { field, hint: 'Give a path below the working tree, such as "dist/app".' });
  if (path.startsWith('/')) throw outside('is absolute; it must be relative');
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) throw outside('leads out of its tree');
  }
  if (names.length === 0 && !rootAllowed) throw bad(field, `must name something below the root, but is "${shown}"`);
  return names.join('/');
}

/** The record with its keys in order, so that equal ones print equally. */
export function sorted<T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).toSorted(([left], [right]) => (left < right ? -1 : Number(left > right))));
}

/** The beginning of a text that somebody sent, for a message. */
export function brief(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

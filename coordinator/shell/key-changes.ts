import type { KeyPart } from '../../cache/entries/entry-store.ts';
import type { Difference } from '../../cache/entries/explain.ts';

const FILE = /^files? (?:of )?/;
/** Changed parts that are named one by one. */
const NAMED_MAX = 8;
const VALUE_LENGTH_MAX = 48;

/** What is different between the parts of an earlier key and those of a later one, a line for each, for people. */
export function changesBetween(before: readonly KeyPart[], after: readonly KeyPart[]): readonly string[] {
  const [earlier, later] = [before, after].map((parts) => new Map(parts.map(({ name, value }) => [name, value])));
  const names = new Set([...after, ...before].map(({ name }) => name));
  const all = [...names].map((name) => ({ name, before: earlier?.get(name), now: later?.get(name) }));
  return linesOf(all.filter((part) => part.before !== part.now));
}

/** Differences for people, a line for each. */
export function linesOf(differences: readonly Difference[]): readonly string[] {
  if (differences.length === 0) return ['all named parts of the keys are the same'];
  const lines = differences.slice(0, NAMED_MAX).map(lineOf);
  return differences.length <= NAMED_MAX ? lines : [...lines, `and ${differences.length - NAMED_MAX} more parts are different`];
}

function lineOf({ name, before, now }: Difference): string {
  if (FILE.test(name)) {
    const change = before === undefined ? 'is new' : now === undefined ? 'is gone' : 'has changed';
    return `${name.replace(FILE, '')} ${change}`;
  }
  if (before === undefined) return `${name} is new: ${brief(now ?? '')}`;
  return now === undefined ? `${name} is no part of the key any more` : `${name} was ${brief(before)} and is ${brief(now)}`;
}

function brief(value: string): string {
  return value.length <= VALUE_LENGTH_MAX ? value : `${value.slice(0, VALUE_LENGTH_MAX - 1)}…`;
}

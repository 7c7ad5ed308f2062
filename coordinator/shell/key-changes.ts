import type { KeyPart } from '../../cache/entries/entry-store.ts';

const FILE = /^files? /;
/** Changed parts that are named one by one. */
const NAMED_MAX = 8;
const VALUE_LENGTH_MAX = 48;

/** What is different between the parts of an earlier key and those of a later one, a line for each, for people. */
export function changesBetween(before: readonly KeyPart[], after: readonly KeyPart[]): readonly string[] {
  const earlier = new Map(before.map(({ name, value }) => [name, value]));
  const later = new Map(after.map(({ name, value }) => [name, value]));
  const lines: string[] = [];
  for (const [name, value] of later) {
    const old = earlier.get(name);
    if (old === undefined) lines.push(FILE.test(name) ? `${fileOf(name)} is new` : `${name} is new: ${brief(value)}`);
    else if (old !== value)
      lines.push(FILE.test(name) ? `${fileOf(name)} has changed` : `${name} was ${brief(old)} and is ${brief(value)}`);
  }
  for (const name of earlier.keys()) {
    if (!later.has(name)) lines.push(FILE.test(name) ? `${fileOf(name)} is gone` : `${name} is no part of the key any more`);
  }
  if (lines.length === 0) return ['all of its named parts are the same'];
  return lines.length <= NAMED_MAX ? lines : [...lines.slice(0, NAMED_MAX), `and ${lines.length - NAMED_MAX} more parts are different`];
}

function fileOf(name: string): string {
  return name.replace(FILE, '');
}

function brief(value: string): string {
  return value.length <= VALUE_LENGTH_MAX ? value : `${value.slice(0, VALUE_LENGTH_MAX - 1)}…`;
}

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../fixtures/root.ts';

/** The parts of the house that a program consists of. */
const PARTS = ['agent', 'base', 'cache', 'cli', 'coordinator', 'proto'];

/** The program's files that are neither code nor prose, such as Lua and protocol files: relative paths, as the checkout has them. */
export function filesBesideCode(): readonly string[] {
  const all = PARTS.flatMap((part) => readdirSync(join(ROOT, part), { recursive: true, encoding: 'utf8' }).map((file) => join(part, file)));
  return all.filter((file) => statSync(join(ROOT, file)).isFile() && !/\.(ts|md)$/.test(file));
}

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type ErrorCode } from 'yaml';
import type { Place, Problems } from './problem.ts';

/** What a value was made of, where expressions made it: the text as it was written, and the names and files in it. */
export type MadeOf = { readonly written: string; readonly parts: readonly { readonly name: string; readonly value: string }[] };

/** A YAML value that knows where it was written. Aliases are resolved. */
export type SourceNode =
  | { readonly kind: 'text'; readonly value: string; readonly place: Place; readonly madeOf?: MadeOf }
  | { readonly kind: 'number'; readonly value: number; readonly place: Place; readonly madeOf?: MadeOf }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly place: Place; readonly madeOf?: MadeOf }
  | { readonly kind: 'empty'; readonly place: Place }
  | { readonly kind: 'list'; readonly items: readonly SourceNode[]; readonly place: Place }
  | { readonly kind: 'map'; readonly entries: readonly SourceEntry[]; readonly place: Place };

export type SourceEntry = { readonly key: string; readonly keyPlace: Place; readonly value: SourceNode };

export type SourceMap = Extract<SourceNode, { kind: 'map' }>;

/** Nodes of one file, aliases resolved: no person writes more, and a file of aliases of aliases must end somewhere. */
const NODES_MAX = 200_000;
const DEPTH_MAX = 64;
const TOO_LARGE = `the file is too large or nested too deep: at most ${NODES_MAX} values and ${DEPTH_MAX} levels are read`;

/** What to do about the parser's complaints that people meet most. */
const YAML_HINTS: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: 'Check the indentation, and that every bracket is closed.',
  BLOCK_AS_IMPLICIT_KEY: 'Check the indentation: a line is deeper than those beside it, or text with ": " needs quotes.',
  BAD_SCALAR_START: 'Put the text in quotes.',
  MISSING_CHAR: 'Close the bracket or quote, or put text with special characters in quotes.',
  MULTILINE_IMPLICIT_KEY: 'A colon may be missing; check the indentation too.',
  TAB_AS_INDENT: 'Indent with spaces.',
  UNEXPECTED_TOKEN: 'Put text with special characters in quotes.',
};

/** What to do about a file that is empty, or too large to be read. */
export type SourceHints = { readonly empty: string; readonly large: string };

/** Reads YAML 1.2. Syntax errors and repeated keys become problems; undefined where nothing useful could be read. */
export function parseSource(text: string, problems: Problems, hints: SourceHints): SourceNode | undefined {
  const lines = new LineCounter();
  // Repeated keys are found below: the parser compares each key of a map with all others, which takes minutes for a large one.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  let before = -1;
  for (const error of document.errors) {
    // What the parser stumbles over next at the same place is the same mistake.
    if (error.pos[0] !== before) problems.error(placeOf(error.pos[0]), '', `not valid YAML: ${error.message}`, YAML_HINTS[error.code]);
    before = error.pos[0];
  }
  if (document.errors.length > 0) return undefined;
  if (document.contents === null) {
    problems.error({ line: 1, column: 1 }, '', 'the file is empty', hints.empty);
    return undefined;
  }
  const reading = new Reading(document, placeOf, problems, hints);
  const root = reading.node(document.contents, { line: 1, column: 1 }, 0);
  return reading.overflown ? undefined : root;
}

class Reading {
  readonly #document: Document;
  readonly #placeOf: (offset: number) => Place;
  readonly #problems: Problems;
  readonly #hints: SourceHints;
  #count = 0;
  /** Whether the file is larger than what is read. */
  overflown = false;

  constructor(document: Document, placeOf: (offset: number) => Place, problems: Problems, hints: SourceHints) {
    this.#document = document;
    this.#placeOf = placeOf;
    this.#problems = problems;
    this.#hints = hints;
  }

  node(node: unknown, outer: Place, depth: number): SourceNode {
    const place = this.#place(node, outer);
    this.#count += 1;
    if (this.#count > NODES_MAX || depth > DEPTH_MAX) {
      if (!this.overflown) this.#problems.error(place, '', TOO_LARGE, this.#hints.large);
      this.overflown = true;
      return { kind: 'empty', place };
    }
    if (isAlias(node)) {
      const target: unknown = node.resolve(this.#document);
      if (target !== undefined) return this.node(target, place, depth + 1);
      this.#problems.error(place, '', `the alias "*${node.source}" names no anchor`);
      return { kind: 'empty', place };
    }
    if (isSeq(node)) return { kind: 'list', items: node.items.map((item) => this.node(item, place, depth + 1)), place };
    if (isMap(node)) {
      const seen = new Set<string>();
      return { kind: 'map', entries: node.items.map((pair) => this.#entry(pair.key, pair.value, place, depth, seen)), place };
    }
    return scalar(isScalar(node) ? node.value : null, place);
  }

  #entry(key: unknown, value: unknown, outer: Place, depth: number, seen: Set<string>): SourceEntry {
    const keyPlace = this.#place(key, outer);
    if (!isScalar(key) || isAlias(key)) this.#problems.error(keyPlace, '', 'a key must be plain text');
    const name = isScalar(key) ? String(key.value) : '';
    if (seen.has(name)) this.#problems.error(keyPlace, '', `"${name}" is there twice`, 'Keep one of them.');
    seen.add(name);
    if (name === '<<') this.#problems.error(keyPlace, '<<', 'merge keys are not supported', 'Use "defaults" or a template.');
    return { key: name, keyPlace, value: this.node(value, keyPlace, depth + 1) };
  }

  #place(node: unknown, outer: Place): Place {
    if ((isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) && node.range) return this.#placeOf(node.range[0]);
    return outer;
  }
}

function scalar(value: unknown, place: Place): SourceNode {
  if (typeof value === 'string') return { kind: 'text', value, place };
  if (typeof value === 'number') return { kind: 'number', value, place };
  if (typeof value === 'boolean') return { kind: 'boolean', value, place };
  if (typeof value === 'bigint') return { kind: 'number', value: Number(value), place };
  return { kind: 'empty', place };
}

/** The value of `key`, or undefined. */
export function entryOf(map: SourceMap, key: string): SourceEntry | undefined {
  return map.entries.find((entry) => entry.key === key);
}

/** What a person would call the node's kind. */
export function nameOfKind(node: SourceNode): string {
  const names = { text: 'text', number: 'a number', boolean: 'true or false', empty: 'nothing', list: 'a list', map: 'a map' } as const;
  return names[node.kind];
}

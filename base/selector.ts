import { unreachable } from './assert.ts';
import type { Labels } from './labels.ts';
import { compareQuantities, parseQuantity } from './quantity.ts';

/** One condition on one label. */
export type Requirement =
  | { readonly kind: 'in' | 'not-in'; readonly key: string; readonly values: readonly string[] }
  | { readonly kind: 'exists' | 'not-exists'; readonly key: string }
  | { readonly kind: '<' | '<=' | '>' | '>='; readonly key: string; readonly value: string };

/** A conjunction of requirements. `canonical` is the same text for selectors that say the same in another order. */
export type Selector = { readonly requirements: readonly Requirement[]; readonly canonical: string };

export type SelectorParse =
  | { readonly kind: 'ok'; readonly selector: Selector }
  /** `at` counts characters from 1; `message` names the place and the fix. */
  | { readonly kind: 'bad'; readonly message: string; readonly at: number };

type Token = { readonly text: string; readonly at: number; readonly word: boolean };

const TOKEN = /\s*(?:(==|!=|<=|>=|=|<|>|!|,|\(|\))|([A-Za-z0-9]([A-Za-z0-9_./+-]*[A-Za-z0-9])?))/y;
const KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^[A-Za-z0-9]([A-Za-z0-9_.+-]{0,61}[A-Za-z0-9])?$/;

/** Thrown within this file only, to leave the recursive descent. */
class Unparsable extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/**
 * Kubernetes' label-selector grammar (`a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`), comma = and, with
 * comparisons of quantities (`memory >= 8Gi`, `os-version < 22.04`). Empty text selects everything. As in Kubernetes,
 * `!=` and `notin` also hold where the label is absent; comparisons need it to be there.
 */
export function parseSelector(text: string): SelectorParse {
  try {
    const requirements = parseRequirements(tokensOf(text), text.length + 1);
    return { kind: 'ok', selector: { requirements, canonical: [...new Set(requirements.map(requirementText))].toSorted().join(',') } };
  } catch (error) {
    if (!(error instanceof Unparsable)) throw error;
    return { kind: 'bad', message: `${error.message} (at character ${error.at} of "${text}")`, at: error.at };
  }
}

/** Whether an agent with those labels is selected. */
export function selects(selector: Selector, labels: Labels): boolean {
  return selector.requirements.every((requirement) => holds(requirement, labels));
}

/** The requirements that the labels do not meet, for people: `arch in (amd64,arm64), but arch is riscv64`. */
export function unmet(selector: Selector, labels: Labels): readonly string[] {
  return selector.requirements
    .filter((requirement) => !holds(requirement, labels))
    .map((requirement) => {
      const value = valueOf(labels, requirement.key);
      return `${requirementText(requirement)}, but ${value === undefined ? `there is no label ${requirement.key}` : `${requirement.key} is ${value}`}`;
    });
}

/** A requirement as its canonical text. */
export function requirementText(requirement: Requirement): string {
  switch (requirement.kind) {
    case 'in':
      return requirement.values.length === 1
        ? `${requirement.key}=${requirement.values[0]}`
        : `${requirement.key} in (${requirement.values.join(',')})`;
    case 'not-in':
      return requirement.values.length === 1
        ? `${requirement.key}!=${requirement.values[0]}`
        : `${requirement.key} notin (${requirement.values.join(',')})`;
    case 'exists':
      return requirement.key;
    case 'not-exists':
      return `!${requirement.key}`;
    case '<':
    case '<=':
    case '>':
    case '>=':
      return `${requirement.key}${requirement.kind}${requirement.value}`;
    default:
      return unreachable(requirement);
  }
}

function holds(requirement: Requirement, labels: Labels): boolean {
  const value = valueOf(labels, requirement.key);
  switch (requirement.kind) {
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case 'not-in':
      return value === undefined || !requirement.values.includes(value);
    case 'exists':
      return value !== undefined;
    case 'not-exists':
      return value === undefined;
    case '<':
    case '<=':
    case '>':
    case '>=':
      return value !== undefined && compares(requirement.kind, compareQuantities(value, requirement.value));
    default:
      return unreachable(requirement);
  }
}

function compares(operator: '<' | '<=' | '>' | '>=', order: number | undefined): boolean {
  if (order === undefined) return false;
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

function valueOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) {
      const at = from + (/^\s*/.exec(text.slice(from))?.[0].length ?? 0);
      throw new Unparsable(`Unexpected "${text[at] ?? ''}": labels and values are letters, digits, "-", "_", "." and "/"`, at + 1);
    }
    const [, symbol, word] = match;
    const token = symbol ?? word ?? '';
    tokens.push({ text: token, at: TOKEN.lastIndex - token.length + 1, word: symbol === undefined });
  }
  return tokens;
}

function parseRequirements(tokens: readonly Token[], end: number): Requirement[] {
  const requirements: Requirement[] = [];
  let next = 0;
  const take = (what: string): Token => {
    const token = tokens[next];
    if (token === undefined) throw new Unparsable(`The selector ends where ${what} should follow`, end);
    next += 1;
    return token;
  };
  const key = (): string => {
    const token = take('a label');
    if (!token.word) throw new Unparsable(`Expected a label, found "${token.text}"`, token.at);
    if (!KEY.test(token.text))
      throw new Unparsable(`"${token.text}" is no label key: at most 63 characters, with an optional prefix and "/"`, token.at);
    return token.text;
  };
  const value = (after: string): Token => {
    const token = take(`a value after "${after}"`);
    if (!token.word) throw new Unparsable(`Expected a value after "${after}", found "${token.text}"`, token.at);
    if (!VALUE.test(token.text)) throw new Unparsable(`"${token.text}" is no label value: at most 63 characters without "/"`, token.at);
    return token;
  };
  const list = (after: string): string[] => {
    const open = take(`"(" after "${after}"`);
    if (open.text !== '(') throw new Unparsable(`Expected "(" after "${after}", found "${open.text}"`, open.at);
    const values = new Set<string>();
    for (;;) {
      values.add(value(after).text);
      const separator = take('"," or ")"');
      if (separator.text === ')') return [...values].toSorted();
      if (separator.text !== ',') throw new Unparsable(`Expected "," or ")", found "${separator.text}"`, separator.at);
    }
  };
  while (next < tokens.length) {
    requirements.push(parseRequirement({ peek: () => tokens[next], skip: () => void (next += 1), key, value, list }));
    const comma = tokens[next];
    if (comma === undefined) break;
    if (comma.text !== ',') throw new Unparsable(`Expected "," between requirements, found "${comma.text}"`, comma.at);
    next += 1;
    if (next === tokens.length) throw new Unparsable('A requirement should follow the last ","', comma.at);
  }
  return requirements;
}

type Reader = {
  peek(): Token | undefined;
  skip(): void;
  key(): string;
  value(after: string): Token;
  list(after: string): string[];
};

function parseRequirement(reader: Reader): Requirement {
  if (reader.peek()?.text === '!') {
    reader.skip();
    return { kind: 'not-exists', key: reader.key() };
  }
  const key = reader.key();
  const operator = reader.peek();
  if (operator === undefined || operator.text === ',') return { kind: 'exists', key };
  reader.skip();
  switch (operator.text) {
    case '=':
    case '==':
      return { kind: 'in', key, values: [reader.value(operator.text).text] };
    case '!=':
      return { kind: 'not-in', key, values: [reader.value(operator.text).text] };
    case 'in':
      return { kind: 'in', key, values: reader.list('in') };
    case 'notin':
      return { kind: 'not-in', key, values: reader.list('notin') };
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const bound = reader.value(operator.text);
      if (parseQuantity(bound.text) === undefined) {
        throw new Unparsable(
          `"${bound.text}" cannot be compared with "${operator.text}": write a number, a size such as 8Gi or a version`,
          bound.at,
        );
      }
      return { kind: operator.text, key, value: bound.text };
    }
    default:
      throw new Unparsable(`Expected an operator (=, !=, in, notin, <, <=, >, >=) after "${key}", found "${operator.text}"`, operator.at);
  }
}

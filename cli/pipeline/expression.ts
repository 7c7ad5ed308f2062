import { unreachable } from '../../base/assert.ts';
import { suggest } from '../../base/suggest.ts';
import type { KeyPart } from '../../cache/entries/entry-store.ts';

/** What an expression can yield and refer to. */
export type Value = string | number | boolean;

/** Files of the work tree and one digest (64 hex digits) over their paths and contents, whatever their order. */
export type HashedFiles = { readonly digest: string; readonly files: readonly { readonly path: string; readonly digest: string }[] };

/** The files that paths and patterns name; or, in words, what is wrong with them. */
export type HashFiles = (patterns: readonly string[]) => HashedFiles | { readonly wrong: string };

/** What expressions may refer to. */
export type Names = {
  /** By their first part: `matrix.os` is `groups.matrix.values.os`. A closed group knows all its members; an open one yields ''. */
  readonly groups: Readonly<Record<string, { readonly open: boolean; readonly values: Readonly<Record<string, Value>> }>>;
  /** What `hash(…)` does. */
  readonly hash: HashFiles;
};

/** Wrong syntax, an unknown name or a wrong operand; `at` is the offset within the expression. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly at: number;
  readonly hint: string | undefined;

  constructor(message: string, at: number, hint?: string) {
    super(message);
    this.at = at;
    this.hint = hint;
  }
}

type Token = { readonly kind: 'text' | 'number' | 'name' | 'sign' | 'end'; readonly text: string; readonly at: number };

const TOKEN =
  /\s*(?:(?<text>'[^']*'|"[^"]*")|(?<number>-?\d+(?:\.\d+)?)|(?<name>[A-Za-z_][\w-]*(?:\.[\w-]+)*)|(?<sign>==|!=|<=|>=|&&|\|\||[<>!(),]))/y;

/** What is called with two texts. `hash` is the other function. */
const TEXT_FUNCTIONS: Readonly<Record<string, (value: string, part: string) => boolean>> = {
  startsWith: (value, part) => value.startsWith(part),
  endsWith: (value, part) => value.endsWith(part),
  contains: (value, part) => value.includes(part),
};
const FUNCTIONS = [...Object.keys(TEXT_FUNCTIONS), 'hash'];

/** An expression, read once and evaluated against many sets of names. */
export type Expression =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'name'; readonly path: string; readonly at: number }
  | { readonly kind: 'not'; readonly of: Expression; readonly at: number }
  | { readonly kind: 'both' | 'any'; readonly left: Expression; readonly right: Expression; readonly at: number }
  | { readonly kind: 'compare'; readonly sign: string; readonly left: Expression; readonly right: Expression; readonly at: number }
  | { readonly kind: 'call'; readonly name: string; readonly left: Expression; readonly right: Expression; readonly at: number }
  | { readonly kind: 'hash'; readonly patterns: readonly Expression[]; readonly at: number };

/**
 * Reads `a.b == 'text' && !(c.d < 3) || startsWith(git.branch, 'release/')`. `&&` binds tighter than `||`.
 * @throws {ExpressionError}
 */
export function parseExpression(text: string): Expression {
  return new Parser(text).whole();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #end: Token;
  #next = 0;

  constructor(text: string) {
    this.#tokens = tokenise(text);
    this.#end = { kind: 'end', text: '', at: text.length };
  }

  whole(): Expression {
    const whole = this.#any();
    if (this.#peek().kind !== 'end') throw new ExpressionError(`expected the end ${found(this.#peek())}`, this.#peek().at);
    return whole;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? this.#end;
  }

  #takeSign(sign: string): boolean {
    if (this.#peek().kind !== 'sign' || this.#peek().text !== sign) return false;
    this.#next += 1;
    return true;
  }

  #demand(sign: string): void {
    if (!this.#takeSign(sign)) throw new ExpressionError(`expected "${sign}" ${found(this.#peek())}`, this.#peek().at);
  }

  #any(): Expression {
    let left = this.#both();
    for (let { at } = this.#peek(); this.#takeSign('||'); at = this.#peek().at) left = { kind: 'any', left, right: this.#both(), at };
    return left;
  }

  #both(): Expression {
    let left = this.#compare();
    for (let { at } = this.#peek(); this.#takeSign('&&'); at = this.#peek().at) left = { kind: 'both', left, right: this.#compare(), at };
    return left;
  }

  #compare(): Expression {
    const left = this.#unary();
    const { kind, text: sign, at } = this.#peek();
    if (kind !== 'sign' || !['==', '!=', '<', '<=', '>', '>='].includes(sign)) return left;
    this.#next += 1;
    return { kind: 'compare', sign, left, right: this.#unary(), at };
  }

  #unary(): Expression {
    const { at } = this.#peek();
    return this.#takeSign('!') ? { kind: 'not', of: this.#unary(), at } : this.#primary();
  }

  #primary(): Expression {
    const token = this.#peek();
    this.#next += 1;
    if (token.kind === 'text') return { kind: 'value', value: token.text.slice(1, -1) };
    if (token.kind === 'number') return { kind: 'value', value: Number(token.text) };
    if (token.kind === 'name') return this.#name(token);
    if (token.kind !== 'sign' || token.text !== '(') throw new ExpressionError(`expected a value ${found(token)}`, token.at);
    const inner = this.#any();
    this.#demand(')');
    return inner;
  }

  #name(token: Token): Expression {
    if (token.text === 'true' || token.text === 'false') return { kind: 'value', value: token.text === 'true' };
    if (!this.#takeSign('(')) return { kind: 'name', path: token.text, at: token.at };
    if (!FUNCTIONS.includes(token.text)) throw unknown(`there is no function "${token.text}"`, token.text, FUNCTIONS, token.at);
    if (token.text === 'hash') return { kind: 'hash', patterns: this.#patterns(), at: token.at };
    const left = this.#any();
    this.#demand(',');
    const right = this.#any();
    this.#demand(')');
    return { kind: 'call', name: token.text, left, right, at: token.at };
  }

  #patterns(): readonly Expression[] {
    const patterns = [this.#any()];
    while (this.#takeSign(',')) patterns.push(this.#any());
    this.#demand(')');
    return patterns;
  }
}

function tokenise(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match?.groups === undefined) {
      const start = at + (text.slice(at).length - text.slice(at).trimStart().length);
      const hint = text[start] === '=' ? 'Compare with "==".' : undefined;
      throw new ExpressionError(`"${text[start] ?? ''}" has no meaning here`, start, hint);
    }
    const kind = (['text', 'number', 'name', 'sign'] as const).find((candidate) => match.groups?.[candidate] !== undefined) ?? 'end';
    const word = match.groups[kind] ?? '';
    tokens.push({ kind, text: word, at: TOKEN.lastIndex - word.length });
    at = TOKEN.lastIndex;
  }
  return tokens;
}

function found(token: Token): string {
  return token.kind === 'end' ? 'but the expression ends' : `but found ${token.text}`;
}

function unknown(message: string, word: string, known: readonly string[], at: number): ExpressionError {
  const near = suggest(word, known);
  const all = known.length === 0 ? 'There are none here.' : `Known: ${known.join(', ')}.`;
  return new ExpressionError(message, at, near === undefined ? all : `Did you mean "${near}"?`);
}

/** @throws {ExpressionError} for unknown names and operands of the wrong type. */
export function evaluate(expression: Expression, names: Names): Value {
  switch (expression.kind) {
    case 'value':
      return expression.value;
    case 'name':
      return lookUp(expression.path, expression.at, names);
    case 'not':
      return !truth(evaluate(expression.of, names), expression.at);
    case 'both':
      return truth(evaluate(expression.left, names), expression.at) && truth(evaluate(expression.right, names), expression.at);
    case 'any':
      return truth(evaluate(expression.left, names), expression.at) || truth(evaluate(expression.right, names), expression.at);
    case 'compare':
      return compared(expression.sign, evaluate(expression.left, names), evaluate(expression.right, names), expression.at);
    case 'call':
      return (
        TEXT_FUNCTIONS[expression.name]?.(String(evaluate(expression.left, names)), String(evaluate(expression.right, names))) ?? false
      );
    case 'hash':
      return hashed(expression, names).digest;
    default:
      return unreachable(expression);
  }
}

function hashed({ patterns, at }: Extract<Expression, { kind: 'hash' }>, names: Names): HashedFiles {
  const found = names.hash(patterns.map((pattern) => String(evaluate(pattern, names))));
  if ('digest' in found) return found;
  throw new ExpressionError(found.wrong, at, 'Paths are relative to the directory of the pipeline file; put them in quotes.');
}

/** Files that are parts of a key by themselves; more of one call are one part together. */
const FILE_PARTS_MAX = 32;

/**
 * What the value of an expression is made of: a name by itself, files by their digests, anything else as it is written, with its value.
 * No part says more than the value does: a variable that is only compared is not told.
 * @throws {ExpressionError} as `evaluate`
 */
export function partsOf(written: string, names: Names): readonly KeyPart[] {
  const expression = parseExpression(written);
  const value = String(evaluate(expression, names));
  if (expression.kind === 'value') return [];
  if (expression.kind !== 'hash') return [{ name: written.trim(), value }];
  const { files } = hashed(expression, names);
  return files.length <= FILE_PARTS_MAX
    ? files.map((file) => ({ name: `file ${file.path}`, value: file.digest }))
    : [{ name: `files of ${written.trim()}`, value }];
}

function lookUp(path: string, at: number, { groups }: Names): Value {
  const dot = path.indexOf('.');
  const group = dot < 0 ? path : path.slice(0, dot);
  const found = Object.hasOwn(groups, group) ? groups[group] : undefined;
  if (dot < 0 || found === undefined) {
    const known = Object.keys(groups).map((name) => `${name}.…`);
    const near = suggest(group, Object.keys(groups));
    const hint = near === undefined ? `Known: ${known.join(', ')}. Put text in quotes: '${path}'.` : `Did you mean "${near}.…"?`;
    throw new ExpressionError(`there is no name "${path}"`, at, hint);
  }
  const member = path.slice(dot + 1);
  if (Object.hasOwn(found.values, member)) return found.values[member] ?? '';
  if (found.open) return '';
  throw unknown(`"${group}" has no "${member}"`, member, Object.keys(found.values), at);
}

function truth(value: Value, at: number): boolean {
  if (typeof value === 'boolean') return value;
  throw new ExpressionError(`expected true or false, but found ${JSON.stringify(value)}`, at, "Compare it: x == 'text'.");
}

/** As numbers where at least one side is a number and both read as one; otherwise as text, and then only for equality. */
function compared(sign: string, left: Value, right: Value, at: number): boolean {
  const readable = (value: Value) =>
    typeof value === 'number' || (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)));
  const numbers = readable(left) && readable(right);
  const equal =
    numbers && (typeof left === 'number' || typeof right === 'number') ? Number(left) === Number(right) : String(left) === String(right);
  if (sign === '==') return equal;
  if (sign === '!=') return !equal;
  if (!numbers)
    throw new ExpressionError(`"${sign}" needs two numbers, but found ${JSON.stringify(left)} and ${JSON.stringify(right)}`, at);
  const difference = Number(left) - Number(right);
  if (sign === '<') return difference < 0;
  if (sign === '<=') return difference <= 0;
  return sign === '>' ? difference > 0 : difference >= 0;
}

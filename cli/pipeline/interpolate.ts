import type { KeyPart } from '../../cache/entries/entry-store.ts';
import { evaluate, ExpressionError, parseExpression, partsOf, type Names, type Value } from './expression.ts';
import type { Problems } from '../../base/document/problem.ts';
import type { MadeOf, SourceNode } from '../../base/document/source.ts';

const MARKED = /\$\{\{(.*?)\}\}/gsu;
const WHOLE = /^\$\{\{((?:(?!\}\}).)*)\}\}$/su;

/**
 * `node` with every `${{ … }}` replaced. A text that is nothing but one expression takes the type of its value. Scalars remember what
 * they were made of.
 */
export function interpolate(node: SourceNode, field: string, names: Names, problems: Problems): SourceNode {
  if (node.kind === 'list') {
    return { ...node, items: node.items.map((item, index) => interpolate(item, `${field}[${index}]`, names, problems)) };
  }
  if (node.kind === 'map') {
    const entries = node.entries.map((entry) => ({ ...entry, value: interpolate(entry.value, `${field}.${entry.key}`, names, problems) }));
    return { ...node, entries };
  }
  if (node.kind !== 'text' || !node.value.includes('${{')) return node;
  const parts = new Map<string, KeyPart>();
  const value = (expression: string): Value => {
    const found = valueOf(expression, node, field, names, problems);
    if (found === undefined) return '';
    for (const part of partsOf(expression, names)) parts.set(part.name, part);
    return found;
  };
  const madeOf = (): MadeOf => ({ written: node.value, parts: [...parts.values()] });
  const whole = WHOLE.exec(node.value)?.[1];
  if (whole !== undefined) return { ...asNode(value(whole), node), madeOf: madeOf() };
  const text = node.value.replaceAll(MARKED, (_, expression: string) => String(value(expression)));
  if (text.includes('${{')) problems.error(node.place, field, '"${{" without "}}"');
  return { ...node, value: text, madeOf: madeOf() };
}

/** The value of one expression; undefined after reporting why there is none. */
export function valueOf(expression: string, node: SourceNode, field: string, names: Names, problems: Problems): Value | undefined {
  try {
    return evaluate(parseExpression(expression), names);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    problems.error(node.place, field, `in the expression "${expression.trim()}": ${error.message}`, error.hint);
    return undefined;
  }
}

function asNode(value: Value, { place }: SourceNode): Extract<SourceNode, { kind: 'text' | 'number' | 'boolean' }> {
  if (typeof value === 'string') return { kind: 'text', value, place };
  return typeof value === 'number' ? { kind: 'number', value, place } : { kind: 'boolean', value, place };
}

/** Names that the expressions of `node` refer to, as far as they can be read; for finding what is never used. */
export function namesIn(node: SourceNode, found: Set<string> = new Set()): ReadonlySet<string> {
  if (node.kind === 'list') for (const item of node.items) namesIn(item, found);
  if (node.kind === 'map') {
    for (const entry of node.entries) {
      if (entry.key === 'when' && entry.value.kind === 'text') collect(entry.value.value, found);
      namesIn(entry.value, found);
    }
  }
  if (node.kind === 'text') for (const [, expression] of node.value.matchAll(MARKED)) collect(expression ?? '', found);
  return found;
}

function collect(expression: string, found: Set<string>): void {
  for (const [name] of expression.matchAll(/[A-Za-z_][\w-]*(?:\.[\w-]+)+/g)) found.add(name);
}

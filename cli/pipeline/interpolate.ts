import { evaluate, ExpressionError, parseExpression, type Names, type Value } from './expression.ts';
import type { Problems } from './problem.ts';
import type { SourceNode } from './source.ts';

const MARKED = /\$\{\{(.*?)\}\}/gsu;
const WHOLE = /^\$\{\{((?:(?!\}\}).)*)\}\}$/su;

/** `node` with every `${{ … }}` replaced. A text that is nothing but one expression takes the type of its value. */
export function interpolate(node: SourceNode, field: string, names: Names, problems: Problems): SourceNode {
  if (node.kind === 'list') {
    return { ...node, items: node.items.map((item, index) => interpolate(item, `${field}[${index}]`, names, problems)) };
  }
  if (node.kind === 'map') {
    const entries = node.entries.map((entry) => ({ ...entry, value: interpolate(entry.value, `${field}.${entry.key}`, names, problems) }));
    return { ...node, entries };
  }
  if (node.kind !== 'text' || !node.value.includes('${{')) return node;
  const value = (expression: string): Value => valueOf(expression, node, field, names, problems) ?? '';
  const whole = WHOLE.exec(node.value)?.[1];
  if (whole !== undefined) return asNode(value(whole), node);
  const text = node.value.replaceAll(MARKED, (_, expression: string) => String(value(expression)));
  if (text.includes('${{')) problems.error(node.place, field, '"${{" without "}}"');
  return { ...node, value: text };
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

function asNode(value: Value, { place }: SourceNode): SourceNode {
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

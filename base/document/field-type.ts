import type { SourceNode } from './source.ts';
import { entryOf, nameOfKind } from './source.ts';
import { suggest } from '../suggest.ts';
import { adviceOnForeign, fieldOfForeign, wordOfForeign } from './foreign-words.ts';
import type { Problems } from './problem.ts';

export type JsonSchema = { readonly [key: string]: unknown };

/** How a value is being read. */
export type Reading = {
  readonly problems: Problems;
  /** Whether `${{ … }}` may still stand where a value belongs: before expansion yes, after it no. */
  readonly deferred: boolean;
};

/** A kind of value in a file that people write: its reader and its JSON Schema, made together so that they cannot disagree. */
export type FieldType<T> = {
  /** "a duration such as 30s": ends the sentence "expected …". */
  readonly what: string;
  /** The value, or undefined after reporting what is wrong, or where it is an expression that is not known yet. */
  readonly read: (node: SourceNode, field: string, reading: Reading) => T | undefined;
  readonly schema: JsonSchema;
};

const EXPRESSION = '^\\$\\{\\{.*\\}\\}$';
const WHOLE_EXPRESSION = new RegExp(EXPRESSION, 'us');

/** Whether `node` holds an expression instead of its value. */
function isDeferred(node: SourceNode, reading: Reading): boolean {
  return reading.deferred && node.kind === 'text' && WHOLE_EXPRESSION.test(node.value);
}

function expected(what: string, node: SourceNode, field: string, reading: Reading, hint?: string): undefined {
  reading.problems.error(node.place, field, `expected ${what}, but found ${nameOfKind(node)}`, hint);
}

type TextForm = {
  readonly what: string;
  readonly pattern?: string;
  readonly hint?: string;
  /** Numbers and booleans count as the text that was written. */
  readonly anyScalar?: boolean;
  /** What somebody who wrote a bare number most likely meant. */
  readonly numberAs?: (value: number) => string;
};

/** Text of a given form. */
export function text(form: TextForm): FieldType<string> {
  return parsedText({ ...form, parse: (value) => ({ value }) });
}

/** Text that stands for something; `parse` may refuse more than the pattern does, and says why. */
export function parsedText<T>(
  form: TextForm & { readonly parse: (value: string) => { readonly value: T } | { readonly wrong: string } },
): FieldType<T> {
  const pattern = form.pattern === undefined ? undefined : new RegExp(form.pattern, 'u');
  const type = form.anyScalar === true ? ['string', 'number', 'boolean'] : 'string';
  const plain: JsonSchema = { type, ...(form.pattern === undefined ? {} : { pattern: form.pattern }) };
  return {
    what: form.what,
    schema: form.pattern === undefined ? plain : { anyOf: [plain, { type: 'string', pattern: '\\$\\{\\{' }] },
    read(node, field, reading) {
      const scalar = node.kind === 'number' || node.kind === 'boolean';
      if (node.kind !== 'text' && !(scalar && form.anyScalar === true)) {
        return expected(form.what, node, field, reading, hintForKind(form, node));
      }
      const value = String(node.value);
      if (reading.deferred && value.includes('${{')) return undefined;
      if (pattern !== undefined && !pattern.test(value)) {
        reading.problems.error(node.place, field, `"${value}" is not ${form.what}`, form.hint);
        return undefined;
      }
      const parsed = form.parse(value);
      if ('value' in parsed) return parsed.value;
      reading.problems.error(node.place, field, parsed.wrong, form.hint);
      return undefined;
    },
  };
}

function hintForKind(form: TextForm, node: SourceNode): string | undefined {
  if (form.numberAs !== undefined && node.kind === 'number') return `Write ${form.numberAs(node.value)}.`;
  if (form.hint !== undefined) return form.hint;
  if (node.kind === 'number' || node.kind === 'boolean') return `Write it in quotes: "${node.value}".`;
  return node.kind === 'empty' ? 'Write "" where the text is empty.' : undefined;
}

/** One of a few words. */
export function choice<const W extends readonly string[]>(words: W): FieldType<W[number]> {
  const what = `one of ${words.join(', ')}`;
  return {
    what,
    schema: { anyOf: [{ enum: words }, { type: 'string', pattern: EXPRESSION }] },
    read(node, field, reading) {
      if (isDeferred(node, reading)) return undefined;
      if (node.kind !== 'text') return expected(what, node, field, reading);
      const word = words.find((known) => known === node.value);
      if (word !== undefined) return word;
      const near = suggest(node.value, words) ?? wordOfForeign(node.value, words);
      reading.problems.error(
        node.place,
        field,
        `"${node.value}" is not ${what}`,
        near === undefined ? undefined : `Did you mean "${near}"?`,
      );
      return undefined;
    },
  };
}

/** A number within bounds; whole unless `fraction` is set. */
export function number(form: {
  readonly min: number;
  readonly max: number;
  readonly fraction?: boolean;
  readonly what?: string;
}): FieldType<number> {
  const what = form.what ?? `a ${form.fraction === true ? '' : 'whole '}number from ${form.min} to ${form.max}`;
  const plain = { type: form.fraction === true ? 'number' : 'integer', minimum: form.min, maximum: form.max };
  return {
    what,
    schema: { anyOf: [plain, { type: 'string', pattern: EXPRESSION }] },
    read(node, field, reading) {
      if (isDeferred(node, reading)) return undefined;
      if (node.kind !== 'number') return expected(what, node, field, reading);
      if (node.value >= form.min && node.value <= form.max && (form.fraction === true || Number.isInteger(node.value))) return node.value;
      reading.problems.error(node.place, field, `${node.value} is not ${what}`);
      return undefined;
    },
  };
}

/** `true` or `false`. */
export const flag: FieldType<boolean> = {
  what: 'true or false',
  schema: { anyOf: [{ type: 'boolean' }, { type: 'string', pattern: EXPRESSION }] },
  read(node, field, reading) {
    if (isDeferred(node, reading)) return undefined;
    if (node.kind === 'boolean') return node.value;
    const word = node.kind === 'text' && /^(yes|no|on|off)$/iu.test(node.value) ? node.value.toLowerCase() : undefined;
    const quoted =
      node.kind === 'text' && /^(true|false)$/iu.test(node.value) ? `Write ${node.value.toLowerCase()} without quotes.` : undefined;
    const hint =
      word === undefined ? quoted : `Write ${word === 'yes' || word === 'on' ? 'true' : 'false'}: "${word}" is text in YAML 1.2.`;
    return expected('true or false', node, field, reading, hint);
  },
};

/** Any scalar: text, number or boolean. */
export const scalarValue: FieldType<string | number | boolean> = {
  what: 'text, a number, true or false',
  schema: { type: ['string', 'number', 'boolean'] },
  read(node, field, reading) {
    if (node.kind === 'text' || node.kind === 'number' || node.kind === 'boolean') return node.value;
    return expected(scalarValue.what, node, field, reading);
  },
};

export function list<T>(of: FieldType<T>, form: { readonly min?: number } = {}): FieldType<readonly T[]> {
  const min = form.min ?? 0;
  const what = 'a list';
  return {
    what,
    schema: { type: 'array', items: of.schema, ...(min > 0 ? { minItems: min } : {}) },
    read(node, field, reading) {
      if (node.kind !== 'list')
        return expected(what, node, field, reading, node.kind === 'text' ? `Write [${JSON.stringify(node.value)}].` : undefined);
      if (node.items.length < min) reading.problems.error(node.place, field, 'the list is empty');
      return node.items.map((item, index) => of.read(item, `${field}[${index}]`, reading)).filter((item) => item !== undefined);
    },
  };
}

/** A map with keys of the file's own choosing. */
export function mapOf<T>(of: FieldType<T>, key: { readonly pattern: string; readonly what: string }): FieldType<ReadonlyMap<string, T>> {
  const pattern = new RegExp(key.pattern, 'u');
  return {
    what: 'a map',
    schema: { type: 'object', propertyNames: { pattern: key.pattern }, additionalProperties: of.schema },
    read(node, field, reading) {
      if (node.kind !== 'map') {
        const hint =
          node.kind === 'list' ? 'Write each name as a key, "NAME:" with its fields below, instead of "- name: NAME".' : undefined;
        return expected('a map', node, field, reading, hint);
      }
      const found = new Map<string, T>();
      for (const entry of node.entries) {
        if (!pattern.test(entry.key)) reading.problems.error(entry.keyPlace, `${field}.${entry.key}`, `"${entry.key}" is not ${key.what}`);
        const value = of.read(entry.value, `${field}.${entry.key}`, reading);
        if (value !== undefined) found.set(entry.key, value);
      }
      return found;
    },
  };
}

export type Field<T> = {
  readonly type: FieldType<T>;
  /** For editors and docs: what it does and its default. */
  readonly about: string;
  readonly required?: boolean;
};

export type Fields = Readonly<Record<string, Field<unknown>>>;

export type RecordOf<F extends Fields> = { readonly [K in keyof F]: (F[K] extends Field<infer T> ? T : never) | undefined };

/** The field that an unknown key was most likely meant to be. */
export function meantField(key: string, known: readonly string[]): string | undefined {
  return fieldOfForeign(key, known) ?? suggest(key, known);
}

/**
 * A map with known keys. `refused` names keys that get a message of their own instead of "unknown"; `hint` says what to
 * write for those who wrote no map.
 */
export function record<const F extends Fields>(
  what: string,
  fields: F,
  refused: Readonly<Record<string, string>> = {},
  hint?: string,
): FieldType<RecordOf<F>> {
  const names = Object.keys(fields);
  const required = Object.keys(fields).filter((name) => fields[name]?.required === true);
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, { type, about }]) => [name, { description: about, ...type.schema }]),
  );
  return {
    what,
    schema: { type: 'object', additionalProperties: false, properties, ...(required.length > 0 ? { required } : {}) },
    read(node, field, reading) {
      if (node.kind !== 'map') return expected(what, node, field, reading, hint);
      const at = (name: string) => (field === '' ? name : `${field}.${name}`);
      const values: Record<string, unknown> = {};
      const meant = new Set<string>();
      for (const { key, keyPlace, value } of node.entries) {
        const known = Object.hasOwn(fields, key) ? fields[key] : undefined;
        if (known !== undefined) values[key] = known.type.read(value, at(key), reading);
        else if (Object.hasOwn(refused, key)) {
          reading.problems.error(keyPlace, at(key), refused[key] ?? '');
          meant.add(fieldOfForeign(key, names) ?? '');
        } else if (key !== '<<') {
          // A merge key was reported where the file was read.
          const near = meantField(key, names);
          if (near !== undefined) meant.add(near);
          const instead =
            near === undefined ? (adviceOnForeign(key, names) ?? `Known here: ${names.join(', ')}.`) : `Did you mean "${near}"?`;
          reading.problems.error(keyPlace, at(key), `there is no field "${key}"`, instead);
        }
      }
      for (const name of required) {
        if (entryOf(node, name) === undefined && !meant.has(name))
          reading.problems.error(node.place, at(name), 'is missing', name === 'version' ? 'Begin the file with "version: 1".' : undefined);
      }
      return values as RecordOf<F>; // each value was read by the type of its field
    },
  };
}

/** A value that may be written in several ways, told apart by what kind of YAML it is. */
export function byKind<T>(what: string, kinds: Partial<Record<SourceNode['kind'], FieldType<T>>>): FieldType<T> {
  const types = [...new Set(Object.values(kinds))];
  return {
    what,
    schema: { anyOf: types.map((type) => type.schema) },
    read(node, field, reading) {
      const type = kinds[node.kind];
      if (type !== undefined) return type.read(node, field, reading);
      if (isDeferred(node, reading)) return undefined;
      return expected(what, node, field, reading);
    },
  };
}

/** The same written form, another value. */
export function mapped<A, B>(type: FieldType<A>, convert: (value: A) => B): FieldType<B> {
  return {
    ...type,
    read(node, field, reading) {
      const value = type.read(node, field, reading);
      return value === undefined ? undefined : convert(value);
    },
  };
}

/** The schema for a file that knows no expressions: without the forms in which one may stand for a value. */
export function strictSchema(schema: JsonSchema): JsonSchema {
  const forms = schema['anyOf'];
  if (Array.isArray(forms)) {
    const plain: readonly unknown[] = forms.filter((form) => !isExpressionForm(form));
    const [only] = plain;
    if (plain.length < forms.length && plain.length === 1 && isObject(only)) return strictSchema({ ...withoutForms(schema), ...only });
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strictValue(value)]));
}

function strictValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strictValue);
  return isObject(value) ? strictSchema(value) : value;
}

function withoutForms(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== 'anyOf'));
}

function isExpressionForm(form: unknown): boolean {
  return isObject(form) && typeof form['pattern'] === 'string' && form['pattern'].includes('\\$\\{\\{');
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

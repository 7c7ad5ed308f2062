import type { Names } from './expression.ts';
import { entryOf, type SourceEntry, type SourceMap, type SourceNode } from '../../base/document/source.ts';
import { combinationsOf, matrix as matrixType, suffixOf, type Combination } from './matrix-type.ts';
import { interpolate, valueOf } from './interpolate.ts';
import { bindParams, isShort, type GivenParam, type ParamDeclarations } from './params.ts';
import { suggest } from '../../base/suggest.ts';
import type { Problems } from '../../base/document/problem.ts';

/** A step's fields with nothing left to work out. */
export type ExpandedStep = {
  readonly key: string;
  readonly name: string;
  readonly entry: SourceEntry;
  readonly fields: SourceMap;
  /** Whether it names a template that is not there. */
  readonly templateMissing: boolean;
};

export type Expansion = {
  readonly steps: readonly ExpandedStep[];
  /** Keys of steps that `when` left out, wholly or in all their combinations. */
  readonly left: readonly string[];
  readonly usedTemplates: ReadonlySet<string>;
};

export type Template = { readonly params: ParamDeclarations; readonly step: SourceMap };

export type ExpansionInput = {
  readonly steps: SourceMap;
  readonly defaults: SourceMap | undefined;
  readonly templates: ReadonlyMap<string, Template>;
  readonly names: Names;
};

/** Fields that are gone once a step is expanded. */
const OWN_FIELDS = new Set(['template', 'with', 'matrix', 'when']);

/** Steps × matrix, with defaults and templates filled in and expressions replaced. */
export function expand(input: ExpansionInput, problems: Problems): Expansion {
  const steps: ExpandedStep[] = [];
  const left: string[] = [];
  const usedTemplates = new Set<string>();
  for (const entry of input.steps.entries) {
    if (entry.value.kind !== 'map') continue; // reported where the file was checked
    const found = new StepExpansion(input, entry, entry.value, usedTemplates, problems).all();
    if (found.length === 0) left.push(entry.key);
    steps.push(...found);
  }
  return { steps, left, usedTemplates };
}

class StepExpansion {
  readonly #input: ExpansionInput;
  readonly #entry: SourceEntry;
  readonly #own: SourceMap;
  readonly #usedTemplates: Set<string>;
  readonly #problems: Problems;
  readonly #at: string;

  constructor(input: ExpansionInput, entry: SourceEntry, own: SourceMap, usedTemplates: Set<string>, problems: Problems) {
    this.#input = input;
    this.#entry = entry;
    this.#own = own;
    this.#usedTemplates = usedTemplates;
    this.#problems = problems;
    this.#at = `steps.${entry.key}`;
  }

  all(): readonly ExpandedStep[] {
    const written = entryOf(this.#own, 'matrix');
    if (written === undefined) return this.#one(new Map(), this.#entry.key);
    const at = `${this.#at}.matrix`;
    const node = interpolate(written.value, at, this.#input.names, this.#problems);
    const read = matrixType.read(node, at, { problems: this.#problems, deferred: false });
    const found = read === undefined ? [] : combinationsOf(read);
    const empty = read !== undefined && [...read.axes.values()].some((values) => values.length === 0);
    if (read !== undefined && found.length === 0 && !empty) this.#problems.error(written.keyPlace, at, 'the matrix has no combinations');
    const names = new Set<string>();
    return found.flatMap((combination) => {
      const name = `${this.#entry.key}[${suffixOf(combination)}]`;
      if (names.has(name)) this.#problems.error(written.keyPlace, at, `two combinations are both named "${name}"`);
      names.add(name);
      return this.#one(combination, name);
    });
  }

  #one(combination: Combination, name: string): readonly ExpandedStep[] {
    const names = withGroup(this.#input.names, 'matrix', { open: false, values: Object.fromEntries(combination) });
    const template = this.#template(names);
    const runs = this.#when(this.#own, names) && (template === undefined || this.#when(template.step, template.names));
    if (!runs) return [];
    const defaults = this.#input.defaults?.entries.map((entry) => this.#filled(entry, this.#input.names)) ?? [];
    const ofTemplate = template?.step.entries.map((entry) => this.#filled(entry, template.names)) ?? [];
    const own = this.#own.entries.map((entry) => this.#filled(entry, names));
    const entries = [defaults, ofTemplate, own].reduce<readonly SourceEntry[]>(overlay, []).filter((entry) => !OWN_FIELDS.has(entry.key));
    const templateMissing = template === undefined && entryOf(this.#own, 'template') !== undefined;
    return [{ key: this.#entry.key, name, entry: this.#entry, fields: { ...this.#own, entries }, templateMissing }];
  }

  #filled(entry: SourceEntry, names: Names): SourceEntry {
    if (OWN_FIELDS.has(entry.key)) return entry;
    return { ...entry, value: interpolate(entry.value, `${this.#at}.${entry.key}`, names, this.#problems) };
  }

  /** The template that the step names, and the names that its fields may use. */
  #template(names: Names): { readonly step: SourceMap; readonly names: Names } | undefined {
    const written = entryOf(this.#own, 'template');
    const passed = entryOf(this.#own, 'with');
    if (written?.value.kind !== 'text') {
      if (passed !== undefined)
        this.#problems.error(passed.keyPlace, `${this.#at}.with`, '"with" needs a template', 'Name one: template: NAME.');
      return undefined;
    }
    const template = this.#input.templates.get(written.value.value);
    if (template === undefined) {
      const known = [...this.#input.templates.keys()];
      const near = suggest(written.value.value, known);
      const all = known.length === 0 ? 'Write it under "templates".' : `Known: ${known.join(', ')}.`;
      const hint = near === undefined ? all : `Did you mean "${near}"?`;
      this.#problems.error(written.value.place, `${this.#at}.template`, `there is no template "${written.value.value}"`, hint);
      return undefined;
    }
    this.#usedTemplates.add(written.value.value);
    const given = new Map<string, GivenParam>();
    for (const { key, value } of passed?.value.kind === 'map' ? passed.value.entries : []) {
      const field = `${this.#at}.with.${key}`;
      const filled = interpolate(value, field, names, this.#problems);
      if (filled.kind === 'text' || filled.kind === 'number' || filled.kind === 'boolean')
        given.set(key, { value: filled.value, place: value.place, field });
    }
    const at = { place: written.keyPlace, field: this.#at, giveWith: 'Give it: with: {NAME: …}.' };
    const values = bindParams(template.params, given, at, this.#problems);
    return { step: template.step, names: withGroup(this.#input.names, 'with', { open: isShort(template.params, values), values }) };
  }

  #when(fields: SourceMap, names: Names): boolean {
    const written = entryOf(fields, 'when');
    if (written === undefined) return true;
    const node: SourceNode = written.value;
    if (node.kind === 'boolean') return node.value;
    if (node.kind !== 'text') return true; // reported where the file was checked
    const expression = /^\s*\$\{\{(.*)\}\}\s*$/su.exec(node.value)?.[1] ?? node.value;
    const value = valueOf(expression, node, `${this.#at}.when`, names, this.#problems);
    if (value === undefined || typeof value === 'boolean') return value ?? true;
    this.#problems.error(
      node.place,
      `${this.#at}.when`,
      `must be true or false, but is ${JSON.stringify(value)}`,
      "Compare it: x == 'text'.",
    );
    return true;
  }
}

function withGroup(names: Names, group: string, members: Names['groups'][string]): Names {
  return { ...names, groups: { ...names.groups, [group]: members } };
}

/** `over` on top of `under`: whole fields replace each other, but variables of `env` one by one. */
function overlay(under: readonly SourceEntry[], over: readonly SourceEntry[]): readonly SourceEntry[] {
  const merged = new Map(under.map((entry) => [entry.key, entry]));
  for (const entry of over) {
    const before = merged.get(entry.key);
    const both = entry.key === 'env' && before?.value.kind === 'map' && entry.value.kind === 'map';
    merged.set(entry.key, both ? { ...entry, value: mergedEnv(before.value, entry.value) } : entry);
  }
  return [...merged.values()];
}

function mergedEnv(under: SourceNode, over: SourceNode): SourceNode {
  if (under.kind !== 'map' || over.kind !== 'map') return over;
  const entries = new Map([...under.entries, ...over.entries].map((entry) => [entry.key, entry]));
  return { ...over, entries: [...entries.values()] };
}

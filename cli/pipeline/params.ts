import type { Value } from './expression.ts';
import { suggest } from '../../base/suggest.ts';
import type { Place, Problems } from '../../base/document/problem.ts';
import { whyWrong } from '../../base/document/typed-value.ts';
import type { ParamAsWritten } from './table.ts';

export type ParamDeclarations = ReadonlyMap<string, ParamAsWritten>;

/** A given value and where it was written. */
export type GivenParam = { readonly value: Value; readonly place: Place; readonly field: string };

/**
 * The value of every declared parameter: what was given, else its default. Reports wrong types, unknown names and missing
 * values; a parameter in error has no value.
 */
export function bindParams(
  declared: ParamDeclarations,
  given: ReadonlyMap<string, GivenParam>,
  at: { readonly place: Place; readonly field: string; readonly giveWith: string },
  problems: Problems,
): Readonly<Record<string, Value>> {
  const values: Record<string, Value> = {};
  for (const [name, one] of given) {
    if (declared.has(name)) continue;
    const near = suggest(name, [...declared.keys()]);
    const known = declared.size === 0 ? 'There are none.' : `Known: ${[...declared.keys()].join(', ')}.`;
    problems.error(one.place, one.field, `there is no parameter "${name}"`, near === undefined ? known : `Did you mean "${near}"?`);
  }
  for (const [name, declaration] of declared) {
    const one = given.get(name);
    if (one === undefined && declaration.default === undefined) {
      problems.error(at.place, at.field, `the parameter "${name}" has no value and no default`, at.giveWith.replace('NAME', name));
    }
    const value = one === undefined ? declaration.default : one.value;
    if (value === undefined) continue;
    const wrong = whyWrong(declaration, value);
    if (wrong === undefined) values[name] = value;
    else {
      const hint = declaration.type === 'string' ? `Write it in quotes: "${value}".` : undefined;
      problems.error(one?.place ?? at.place, one?.field ?? at.field, `the parameter "${name}" ${wrong}`, hint);
    }
  }
  return values;
}

/** Whether a parameter is without a value: that was reported, and expressions that use it are not to blame. */
export function isShort(declared: ParamDeclarations, values: Readonly<Record<string, Value>>): boolean {
  return [...declared.keys()].some((name) => !Object.hasOwn(values, name));
}

/** A value from the command line, read as the declaration says. */
export function paramFromText(declaration: ParamAsWritten | undefined, written: string): Value {
  const type = declaration?.type;
  if (type === 'boolean' && (written === 'true' || written === 'false')) return written === 'true';
  if ((type === 'integer' || type === 'number') && written.trim() !== '' && !Number.isNaN(Number(written))) return Number(written);
  if (type === 'choice') return declaration?.values?.find((value) => String(value) === written) ?? written;
  return written;
}

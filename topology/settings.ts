import { whyWrong } from '../base/document/typed-value.ts';
import { suggest } from '../base/suggest.ts';
import type { Setting, Topology } from './model.ts';

/** What is wrong with a value or a name, and the path of the field. */
export type SettingProblem = { readonly path: readonly string[]; readonly message: string; readonly hint?: string };

const DAY_MS = 86_400_000;

/** Whether the text is a day of the calendar, such as 2027-03-31. */
export function isDay(text: string): boolean {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}

/** Values of flags that are not of their type, and environments that there are not. */
export function settingProblems({ environments = {}, flags = {} }: Topology): readonly SettingProblem[] {
  const found: SettingProblem[] = [];
  for (const [name, { params }] of Object.entries(environments)) {
    if (!Object.hasOwn(params, 'name')) continue;
    const message = 'is taken: ${{ environment.name }} is the name of the environment';
    found.push({ path: ['environments', name, 'params', 'name'], message, hint: 'Give the value another name.' });
  }
  for (const [name, flag] of Object.entries(flags)) {
    const at = ['flags', name];
    const values = flag.values;
    if (flag.type === 'choice' && values === undefined)
      found.push({ path: [...at, 'values'], message: 'is missing: a choice needs values' });
    if (flag.type !== 'choice' && values !== undefined)
      found.push({ path: [...at, 'values'], message: 'only a choice has values', hint: 'Write type: choice.' });
    const check = (value: Setting, path: readonly string[]) => {
      const wrong = whyWrong({ type: flag.type, values }, value);
      if (wrong !== undefined) found.push({ path, message: wrong });
    };
    check(flag.default, [...at, 'default']);
    for (const [environment, value] of Object.entries(flag.environments)) {
      const path = [...at, 'environments', environment];
      check(value, path);
      if (!Object.hasOwn(environments, environment)) found.push({ path, ...unknownEnvironment(environment, Object.keys(environments)) });
    }
  }
  return found;
}

/** Words for an environment that the topology does not have. */
export function unknownEnvironment(name: string, known: readonly string[]): { readonly message: string; readonly hint: string } {
  const near = suggest(name, known);
  const all = known.length === 0 ? 'The topology has no environments.' : `There are ${known.join(', ')}.`;
  return { message: `the topology has no environment "${name}"`, hint: near === undefined ? all : `Did you mean "${near}"? ${all}` };
}

/** The values of the flags in an environment; '' for none. */
export function flagValues({ flags = {} }: Topology, environment: string): Readonly<Record<string, Setting>> {
  return Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [
      name,
      Object.hasOwn(flag.environments, environment) ? (flag.environments[environment] ?? flag.default) : flag.default,
    ]),
  );
}

/** Flags whose last day is over at a time in milliseconds since 1970, with the words for it. */
export function overdueFlags({ flags = {} }: Topology, atMs: number): readonly { readonly name: string; readonly words: string }[] {
  return Object.entries(flags)
    .filter(([, { expires }]) => atMs >= Date.parse(`${expires}T00:00:00Z`) + DAY_MS)
    .map(([name, { owner, expires }]) => ({ name, words: `the flag "${name}" of ${owner} expired after ${expires}` }));
}

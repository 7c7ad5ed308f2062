import { globMatcher } from '../base/glob.ts';
import type { BuildRules } from './model.ts';

/** Why a build may not be submitted under the rules, for people, with its field; undefined where it may. */
export type RuleRefusal = { readonly message: string; readonly field: 'name' | 'labels' };

export function breaksRule(
  rules: BuildRules,
  build: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
): RuleRefusal | undefined {
  if (rules.names.length > 0 && !isOneOf(build.name, rules.names)) {
    return { field: 'name', message: `The build is called "${build.name}", but here builds are called ${listed(rules.names)}` };
  }
  for (const [key, { values, about }] of Object.entries(rules.labels)) {
    const value = Object.hasOwn(build.labels, key) ? build.labels[key] : undefined;
    const what = about === undefined ? '' : ` (${about})`;
    const wanted = values.length === 0 ? '' : `, which is ${listed(values)}`;
    if (value === undefined)
      return { field: 'labels', message: `The build lacks the label ${key}${what}${wanted}: give it in the pipeline file or with --label` };
    if (values.length > 0 && !isOneOf(value, values))
      return { field: 'labels', message: `The build's label ${key}${what} is "${value}", but it must be ${listed(values)}` };
  }
  return undefined;
}

function isOneOf(text: string, globs: readonly string[]): boolean {
  return globs.some((glob) => globMatcher(glob)(text));
}

function listed(globs: readonly string[]): string {
  return globs.length === 1 ? `${globs[0]}` : `one of ${globs.join(', ')}`;
}

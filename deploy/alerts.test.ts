import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { describeProcesses } from '../scripts/metrics-page.ts';
import { renderRules } from '../scripts/alerts.ts';
import { ROOT } from '../test/fixtures/root.ts';

type Rule = {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

const FILE = readFileSync(join(ROOT, 'deploy/alerts/switchyard.rules.yaml'), 'utf8');
const { groups } = parse(FILE) as { readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] };
const RULES = groups.flatMap(({ rules }) => rules);

/** Series by name, with the labels that they have. Those of the runtime are the library's own. */
const SERIES = new Map<string, readonly string[]>([['nodejs_eventloop_lag_p99_seconds', []]]);
for (const { name, kind, labels } of describeProcesses().flatMap(([, metrics]) => metrics)) {
  const suffixes = kind === 'histogram' ? ['_bucket', '_count', '_sum'] : [''];
  for (const suffix of suffixes) SERIES.set(`${name}${suffix}`, suffix === '_bucket' ? [...labels, 'le'] : labels);
}
/** What else of Prometheus' words the rules use. */
const WORDS = new Set(['sum', 'max', 'rate', 'increase', 'time', 'histogram_quantile', 'on', 'and', 'pool']);

/** What is wrong with an expression. */
function faultsOf(expr: string): readonly string[] {
  const faults: string[] = [];
  const bare = expr.replaceAll(/([a-z][a-z0-9_]*)\{([^}]*)\}/g, (_, name: string, matchers: string) => {
    for (const matcher of matchers.split(',')) {
      const [, label = ''] = /^([a-z]+)(?:=|!=|=~|!~)"[^"]*"$/.exec(matcher) ?? [];
      if (SERIES.get(name)?.includes(label) !== true) faults.push(`${name} has no label ${label || matcher}`);
    }
    return name;
  });
  const words = bare.replaceAll(/\[[0-9]+[smhd]\]/g, ' ').match(/[a-z][a-z0-9_]*/gi) ?? [];
  for (const word of words) if (!SERIES.has(word) && !WORDS.has(word)) faults.push(`${word} is no metric`);
  if (!words.some((word) => SERIES.has(word))) faults.push('it looks at nothing');
  if (bare.split('(').length !== bare.split(')').length) faults.push('its brackets do not match');
  return faults;
}

test('the rules are those of the table', () => {
  expect(FILE, 'run "npm run docs"').toBe(renderRules());
});

test('each rule looks at metrics and labels that there are, and says whom it wakes and what to do', () => {
  expect(RULES.length).toBeGreaterThan(15);
  expect(new Set(RULES.map(({ alert }) => alert)).size).toBe(RULES.length);
  for (const rule of RULES) {
    expect(faultsOf(rule.expr), rule.alert).toEqual([]);
    expect(rule).toMatchObject({
      alert: expect.stringMatching(/^Switchyard[A-Za-z]+$/),
      labels: { severity: expect.stringMatching(/^(page|ticket)$/) },
      annotations: { summary: expect.stringMatching(/.+/), description: expect.stringMatching(/\.$/) },
    });
    if (rule.for !== undefined) expect(rule.for).toMatch(/^[1-9][0-9]*[smh]$/);
  }
});

describe.for([
  ['a metric that is not there', 'switchyard_quue_steps > 1', 'switchyard_quue_steps is no metric'],
  ['a label that is not there', 'switchyard_agents{pool="a"} > 1', 'switchyard_agents has no label pool'],
  ['a histogram without its part', 'rate(switchyard_dispatch_seconds[5m]) > 1', 'switchyard_dispatch_seconds is no metric'],
  ['nothing', 'time() > 7', 'it looks at nothing'],
] as const)('a rule that looks at %s', ([, expr, fault]) => {
  test('is found', () => expect(faultsOf(expr)).toContain(fault));
});

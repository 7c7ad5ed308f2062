import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ignoredIn } from '../inputs/work-tree.ts';
import { lintPipeline, LINT_RULES } from './lint.ts';
import { loadPipeline, type PipelineContext } from './load.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const CONTEXT: PipelineContext = {
  env: {},
  git: { branch: 'main', commit: '', tag: '' },
  host: { platform: 'linux-x64', node: '24.0.0' },
  defaultName: 'work',
  params: new Map(),
  hashFiles: (patterns) => ({ digest: 'f'.repeat(64), files: patterns.map((path) => ({ path, digest: 'f'.repeat(64) })) }),
};

test('docs/pipeline.md lists every rule with its sentence, and no other', () => {
  const page = readFileSync(path.join(ROOT, 'docs/pipeline.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `([a-z-]+)` \| (A.*) \|$/gm)].map(([, rule, about]) => [rule, about]);
  expect(Object.fromEntries(listed)).toEqual(LINT_RULES);
});

test('the pipelines of the guide are right', () => {
  const page = readFileSync(path.join(ROOT, 'docs/pipeline.md'), 'utf8');
  const [whole, caches, part] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
  expect(loadPipeline(whole ?? '', CONTEXT).problems).toEqual([]);
  expect(loadPipeline(`version: 1\n${caches}`, CONTEXT).problems).toEqual([]);
  const completed = `version: 1\n${part}  install: { run: npm ci }\n`;
  expect(loadPipeline(completed, CONTEXT).problems).toEqual([]);
});

test("this repository's own pipeline has no bad habits", () => {
  const loaded = loadPipeline(readFileSync(path.join(ROOT, 'switchyard.yaml'), 'utf8'), CONTEXT);
  expect([...loaded.problems, ...lintPipeline(loaded, ignoredIn(ROOT))]).toEqual([]);
});

test('an output that an ignore file names is not taken for an input', () => {
  const loaded = loadPipeline('version: 1\nsteps: { a: { run: x, timeout: 1m, inputs: ["**/*"], outputs: [dist] } }\n', CONTEXT);
  const rules = (ignored: boolean) => lintPipeline(loaded, () => ignored).map((problem) => problem.rule);
  expect(rules(true)).toEqual(['whole-tree']);
  expect(rules(false)).toEqual(['inputs-hold-outputs', 'whole-tree']);
});

test('an output that looks like a pattern is warned of, with the field and its place', () => {
  const text = `version: 1\nsteps:\n  a: { run: x, timeout: 1m, inputs: [src], outputs: [dist, 'out/0*'] }\n  b: { run: x, timeout: 1m, inputs: [src], outputs: ['[id].js'] }\n`;
  expect(lintPipeline(loadPipeline(text, CONTEXT), () => true)).toMatchObject([
    {
      rule: 'pattern-in-outputs',
      severity: 'warning',
      field: 'steps.a.outputs',
      place: { line: 3 },
      message: '"out/0*" looks like a pattern, but outputs are literal paths',
    },
  ]);
});

import { describe, expect, test } from 'vitest';
import { loadPipeline, type PipelineContext } from './load.ts';
import type { Plan } from './plan.ts';
import { formatProblem } from '../../base/document/problem.ts';

const CONTEXT: PipelineContext = {
  env: { DEPLOY: 'yes' },
  git: { branch: 'main', commit: 'a'.repeat(40), tag: '' },
  host: { platform: 'linux-x64', node: '24.0.0' },
  defaultName: 'work',
  params: new Map(),
  hashFiles: (patterns) =>
    patterns.includes('gone')
      ? { wrong: 'there is no file or directory "gone"' }
      : { digest: 'f'.repeat(64), files: patterns.map((path) => ({ path, digest: `d of ${path}` })) },
};

function errors(text: string, context: Partial<PipelineContext> = {}): string {
  return loadPipeline(text, { ...CONTEXT, ...context })
    .problems.map((problem) => formatProblem('f.yaml', problem))
    .join('\n');
}

function plan(text: string, context: Partial<PipelineContext> = {}): Plan {
  const loaded = loadPipeline(text, { ...CONTEXT, ...context });
  if (loaded.plan === undefined) throw new Error(loaded.problems.map((problem) => formatProblem('f.yaml', problem)).join('\n'));
  return loaded.plan;
}

const stepsOf = (body: string) => `version: 1\nsteps:\n${body}`;

describe('problems name file, place, field and fix', () => {
  test('all of them are reported, not only the first', () => {
    const text = stepsOf(`  a: { run: x, tiemout: 10s, timeout: 10, outputs: [../x, /etc], needs: [bb] }
  b: { rum: x, needs: [c], secrets: [x], labels: "class = = edge" }
  c: { run: x, needs: [b], retry: { exit: "2" }, env: { A: [1] }, network: yes, when: "git.branhc == 'x'", template: zz }
`);
    expect(errors(text)).toMatchInlineSnapshot(`
      "f.yaml:3:16: error: steps.a.tiemout: there is no field "tiemout"
          fix: Did you mean "timeout"?
      f.yaml:3:39: error: steps.a.timeout: expected a duration such as 30s, 10m or 1h30m, but found a number
          fix: Write "10s" for seconds or "10m" for minutes.
      f.yaml:3:53: error: steps.a.outputs[0]: "../x" is not a path inside the work tree
          fix: Paths are relative to the directory of the pipeline file, with "/", and never go up with "..".
      f.yaml:3:59: error: steps.a.outputs[1]: "/etc" is not a path inside the work tree
          fix: Paths are relative to the directory of the pipeline file, with "/", and never go up with "..".
      f.yaml:3:74: error: steps.a.needs[0]: there is no step "bb"
          fix: Did you mean "b"?
      f.yaml:4:3: error: steps.b.needs: the steps need each other in a circle: b → c → b
      f.yaml:4:8: error: steps.b.rum: there is no field "rum"
          fix: Did you mean "run"?
      f.yaml:4:28: error: steps.b.secrets: secrets are not supported yet: let the agent pass a variable with "passEnv"
      f.yaml:4:50: error: steps.b.labels: Expected a value after "=", found "=" (at character 9 of "class = = edge")
          fix: Write requirements such as "class=edge, arch in (amd64,arm64), !gpu, memory >= 8Gi".
      f.yaml:5:43: error: steps.c.retry.exit: expected a whole number from 0 to 100, but found text
      f.yaml:5:60: error: steps.c.env.A: expected text, but found a list
      f.yaml:5:76: error: steps.c.network: expected true or false, but found text
          fix: Write true: "yes" is text in YAML 1.2.
      f.yaml:5:87: error: steps.c.when: in the expression "git.branhc == 'x'": "git" has no "branhc"
          fix: Did you mean "branch"?
      f.yaml:5:118: error: steps.c.template: there is no template "zz"
          fix: Write it under "templates"."
    `);
  });

  test.for<readonly [string, string, string]>([
    ['an empty file', '', 'f.yaml:1:1: error: the file is empty\n    fix: Start with "version: 1" and "steps:".'],
    ['broken YAML', 'version: 1\nsteps: {a: [}\n', 'f.yaml:2:13: error: not valid YAML'],
    [
      'a key that is there twice',
      'version: 1\nsteps:\n  a: { run: x }\n  a: { run: y }\n',
      'f.yaml:4:3: error: "a" is there twice\n    fix: Keep one of them.',
    ],
    ['a list for a file', '- a\n', 'f.yaml:1:1: error: expected a pipeline, but found a list'],
    ['no steps', 'version: 1\nsteps: {}\n', 'f.yaml:2:8: error: steps: the pipeline has no steps'],
    [
      'words of another system',
      'version: 1\njobs: {}\nsteps: { a: { run: x } }\n',
      'steps are listed under "steps", and order comes from "needs"',
    ],
    ['a merge key', 'version: 1\nsteps:\n  a: &a { run: x }\n  b: { <<: *a }\n', 'merge keys are not supported'],
    ['an unknown alias', 'version: 1\nsteps:\n  a: *b\n', 'error'],
    [
      'a cycle',
      stepsOf('  a: { run: x, needs: c }\n  b: { run: x, needs: a }\n  c: { run: x, needs: b }\n'),
      'steps.a.needs: the steps need each other in a circle: a → c → b → a',
    ],
    ['words of other systems', stepsOf('  a: { script: x, depends_on: b, image: node }\n'), '"script"\n    fix: Did you mean "run"?'],
    [
      'no error of its own for what was misspelt',
      stepsOf('  a: { rum: x }\n'),
      'steps.a.rum: there is no field "rum"\n    fix: Did you mean "run"?',
    ],
    [
      'a list of steps',
      'version: 1\nsteps:\n  - { name: a, run: x }\n',
      'f.yaml:3:3: error: steps: expected a map, but found a list\n    fix: Write each name as a key',
    ],
    ['a duration without a unit', stepsOf('  a: { run: x, timeout: 600 }\n'), 'fix: Write "600s" for seconds or "600m" for minutes.'],
    [
      'a field that cannot be a default',
      'version: 1\ndefaults: { run: x }\nsteps: { a: { run: x } }\n',
      '"run" cannot be a default: give it to each step',
    ],
    ['a number of retries', stepsOf('  a: { run: x, retry: 3 }\n'), 'fix: Write {exit: 2} for tries after a failure of the command.'],
    ['tabs', 'version: 1\nsteps:\n\ta: { run: x }\n', 'fix: Indent with spaces.'],
    [
      'a combination of a step without a matrix',
      stepsOf('  a: { run: x }\n  b: { run: x, needs: "a[k=1]" }\n'),
      'fix: "a" has no matrix: write "a".',
    ],
    ['a step that needs itself', stepsOf('  a: { run: x, needs: a }\n'), 'steps.a.needs: the step needs itself'],
    [
      'nothing to run',
      stepsOf('  a: { needs: [] }\n'),
      'f.yaml:3:3: error: steps.a.run: is missing\n    fix: Say what to run, or name a template that does.',
    ],
    ['a cache for side effects', stepsOf('  a: { run: x, cache: true, sideEffects: true }\n'), 'a step with side effects cannot be cached'],
    ['lag of a critical step', stepsOf('  a: { run: x, onLag: { after: 1m, use: skip } }\n'), 'only a step with "critical: false" may lag'],
    ['an expression without end', stepsOf('  a: { run: "echo ${{ git.branch" }\n'), '"${{" without "}}"'],
    [
      'an unknown template',
      stepsOf('  a: { template: tt }\n') + 'templates: { t: { step: { run: x } } }\n',
      'there is no template "tt"\n    fix: Did you mean "t"?',
    ],
    ['with, without a template', stepsOf('  a: { run: x, with: { a: 1 } }\n'), '"with" needs a template'],
    [
      'a matrix without combinations',
      stepsOf('  a: { run: x, matrix: { k: [1], exclude: [{ k: 1 }] } }\n'),
      'the matrix has no combinations',
    ],
    ['two combinations of one name', stepsOf('  a: { run: x, matrix: { k: [a b, a/b] } }\n'), 'two combinations are both named "a[k=a-b]"'],
    [
      'a matrix beyond all bounds',
      stepsOf(`  a: { run: x, matrix: { k: [${'1,'.repeat(40)}], l: [${'1,'.repeat(40)}] } }\n`),
      'the matrix has 1600 combinations, more than 1000',
    ],
  ])('%s', ([, text, wanted]) => {
    expect(errors(text)).toContain(wanted);
  });

  test('aliases of aliases of aliases end', () => {
    const levels = Array.from({ length: 9 }, (_, level) => `  l${level + 1}: &l${level + 1} [${`*l${level}, `.repeat(10)}]`);
    const text = `x:\n  l0: &l0 [a, a]\n${levels.join('\n')}\nversion: 1\nsteps: {}\n`;
    expect(errors(text)).toContain('the file is too large or nested too deep');
  });
});

describe('parameters', () => {
  const text = `version: 1
params:
  count: { type: integer, default: 2 }
  mode: { type: choice, values: [fast, slow] }
steps:
  a: { run: "go \${{ params.mode }}", priority: "\${{ params.count }}" }
`;
  test('the command line sets them, by their types', () => {
    const [step] = plan(text, {
      params: new Map([
        ['mode', 'slow'],
        ['count', '7'],
      ]),
    }).steps;
    expect(step).toMatchObject({ command: ['sh', '-ec', 'go slow'], priority: 7 });
  });

  test.for([
    [[], 'params: the parameter "mode" has no value and no default\n    fix: Give it: --param mode=VALUE.'],
    [[['mode', 'quick']], '--param mode: the parameter "mode" must be one of fast, slow, but is "quick"'],
    [
      [
        ['mode', 'fast'],
        ['count', 'many'],
      ],
      'the parameter "count" must be a whole number, but is "many"',
    ],
    [
      [
        ['mode', 'fast'],
        ['cuont', '1'],
      ],
      'there is no parameter "cuont"\n    fix: Did you mean "count"?',
    ],
  ] as const)('%j', ([given, wanted]) => {
    expect(errors(text, { params: new Map(given) })).toContain(wanted);
  });

  test('a default of the wrong type is refused where it is declared', () => {
    expect(errors('version: 1\nparams: { a: { type: integer, default: x } }\nsteps: { a: { run: x } }\n')).toContain(
      'params.a.default: must be a whole number',
    );
  });
});

describe('templates and defaults', () => {
  const text = `version: 1
defaults:
  timeout: 5m
  env: { A: default, B: default, C: default }
templates:
  t:
    params: { n: { type: integer, default: 1 }, word: { type: string } }
    step:
      run: "echo \${{ with.word }} \${{ with.n }}"
      timeout: 7m
      env: { B: template, C: template }
steps:
  one: { template: t, with: { word: hi }, env: { C: step } }
  two: { template: t, with: { word: "\${{ git.branch }}", n: 3 }, timeout: 9m }
  three: { run: [plain] }
`;
  test('the step wins over its template, and that over the defaults; variables one by one', () => {
    const [one, two, three] = plan(text).steps;
    expect(one).toMatchObject({
      command: ['sh', '-ec', 'echo hi 1'],
      runTimeoutMs: 420_000,
      env: { A: 'default', B: 'template', C: 'step' },
    });
    expect(two).toMatchObject({ command: ['sh', '-ec', 'echo main 3'], runTimeoutMs: 540_000 });
    expect(three).toMatchObject({ command: ['plain'], runTimeoutMs: 300_000, env: { A: 'default', B: 'default', C: 'default' } });
  });

  test('values of the wrong type, unknown and missing ones are refused where they are passed', () => {
    const wrong = `${text}  four: { template: t, with: { n: x, wrod: y } }\n`;
    expect(errors(wrong)).toMatchInlineSnapshot(`
      "f.yaml:16:11: error: steps.four: the parameter "word" has no value and no default
          fix: Give it: with: {word: …}.
      f.yaml:16:35: error: steps.four.with.n: the parameter "n" must be a whole number, but is "x"
      f.yaml:16:44: error: steps.four.with.wrod: there is no parameter "wrod"
          fix: Did you mean "word"?"
    `);
  });
});

describe('matrix', () => {
  test('makes a step per combination, and a need on it means all of them', () => {
    const { steps } = plan(
      stepsOf(`  a: { run: "x \${{ matrix.os }} \${{ matrix.n }}", matrix: { os: [l, m], n: [1, 2], exclude: [{ os: m, n: 1 }], include: [{ os: w, n: 9 }] } }
  b: { run: x, needs: a }
  c: { run: x, needs: ["a[os=l,n=1]"] }
`),
    );
    expect(steps.map(({ name, command }) => [name, command.at(-1)])).toEqual([
      ['a[os=l,n=1]', 'x l 1'],
      ['a[os=l,n=2]', 'x l 2'],
      ['a[os=m,n=2]', 'x m 2'],
      ['a[os=w,n=9]', 'x w 9'],
      ['b', 'x'],
      ['c', 'x'],
    ]);
    expect(steps[4]?.needs.map((need) => need.step)).toEqual(['a[os=l,n=1]', 'a[os=l,n=2]', 'a[os=m,n=2]', 'a[os=w,n=9]']);
    expect(steps[5]?.needs.map((need) => need.step)).toEqual(['a[os=l,n=1]']);
  });

  test('a value keeps its type where it stands alone', () => {
    const [step] = plan(stepsOf('  a: { run: x, priority: "${{ matrix.p }}", matrix: { p: [4] } }\n')).steps;
    expect(step?.priority).toBe(4);
  });
});

describe('when', () => {
  test.for([
    ["git.branch == 'main'", true],
    ["git.branch != 'main'", false],
    ["startsWith(git.branch, 'ma') && env.DEPLOY == 'yes'", true],
    ["env.UNSET == ''", true],
    ["!(host.platform == 'linux-x64')", false],
    ['${{ true }}', true],
  ] as const)('%s', ([when, runs]) => {
    const { steps, left } = plan(stepsOf(`  a: { run: x, when: ${JSON.stringify(when)} }\n  b: { run: x, needs: a }\n`));
    expect(steps.map((step) => step.name)).toEqual(runs ? ['a', 'b'] : ['b']);
    expect(left).toEqual(runs ? [] : ['a']);
  });

  test('what needs a step that is left out goes without it', () => {
    expect(plan(stepsOf('  a: { run: x, when: false }\n  b: { run: x, needs: a }\n')).steps[0]?.needs).toEqual([]);
  });

  test('it may look at the matrix', () => {
    const { steps } = plan(stepsOf('  a: { run: x, matrix: { k: [1, 2, 3] }, when: matrix.k >= 2 }\n'));
    expect(steps.map((step) => step.name)).toEqual(['a[k=2]', 'a[k=3]']);
  });
});

describe('caching', () => {
  test.for([
    ['', true, undefined],
    ['network: true', false, undefined],
    ['network: true, cache: true', true, undefined],
    ['cache: false', false, undefined],
    ['sideEffects: true', false, true],
    ['network: true, cache: { keys: [a] }', true, undefined],
  ] as const)('{%s}', ([fields, cacheable, sideEffects]) => {
    const [step] = plan(stepsOf(`  a: { run: x, ${fields} }\n`)).steps;
    expect(step).toMatchObject({ cacheable });
    expect(step?.sideEffects).toBe(sideEffects);
  });

  test('keys and salt are part of the key, in their order', () => {
    const salts = ['{ keys: [a, b] }', '{ keys: [b, a] }', '{ keys: [ab] }', '{ salt: a, keys: [b] }', '{ salt: "" }'].map(
      (cache) => plan(stepsOf(`  a: { run: x, cache: ${cache} }\n`)).steps[0]?.salt,
    );
    expect(new Set(salts).size).toBe(5);
  });
});

test('the name of the build, its labels and bounds come from the head of the file', () => {
  const text =
    'version: 1\nname: "b ${{ git.branch }}"\nlabels: { team: core }\ntimeout: 1h\nfailFast: false\nignore: ["*.tmp"]\nsteps: { a: { run: x } }\n';
  expect(plan(text)).toMatchObject({ name: 'b main', labels: { team: 'core' }, timeoutMs: 3_600_000, failFast: false, ignore: ['*.tmp'] });
  expect(plan('version: 1\nsteps: { a: { run: x } }\n').name).toBe('work');
});

describe('the environment of a build', () => {
  const text = stepsOf(`  deploy: { run: 'to \${{ environment.name }} at \${{ environment.url }}', env: { FAST: '\${{ flags.fast }}' } }
  extra: { run: x, when: flags.fast == true }
  build: { run: make, environment: false }
`);

  test('gives its values to expressions, and its name to each step that does not refuse it', () => {
    const settings = { environment: 'staging', params: { url: 'https://staging.example' }, flags: { fast: true } };
    const { steps } = plan(text, { settings });
    expect(steps.map(({ name, environment }) => [name, environment])).toEqual([
      ['deploy', 'staging'],
      ['extra', 'staging'],
      ['build', ''],
    ]);
    expect(steps[0]).toMatchObject({ command: ['sh', '-ec', 'to staging at https://staging.example'], env: { FAST: 'true' } });
    expect(errors(text, { settings: { ...settings, flags: { fsat: true } } })).toContain(
      'in the expression "flags.fast": "flags" has no "fast"\n    fix: Did you mean "fsat"?',
    );
  });

  test('is not needed: without one the values are empty, and flags have their defaults', () => {
    expect(plan(text).steps.map(({ name, environment }) => [name, environment])).toEqual([
      ['deploy', ''],
      ['build', ''],
    ]);
    expect(plan(text).steps[0]).toMatchObject({ command: ['sh', '-ec', 'to  at '], env: { FAST: '' } });
    const settings = { environment: '', params: {}, flags: { fast: true } };
    expect(plan(text, { settings }).steps.map(({ name }) => name)).toEqual(['deploy', 'extra', 'build']);
  });
});

import { FAILURE_CLASSES } from '../../base/failure.ts';
import { SANDBOX_TRAITS } from '../../base/sandbox-trait.ts';
import { ZONES } from '../../base/zone.ts';
import { parseSelector } from '../../base/selector.ts';
import {
  byKind,
  choice,
  flag,
  list,
  mapOf,
  mapped,
  number,
  parsedText,
  record,
  scalarValue,
  text,
  type Field,
  type FieldType,
} from '../../base/document/field-type.ts';
import { dependencyCacheType } from './dependency-cache-type.ts';
import { cpu, duration, size } from '../../base/document/quantity-type.ts';
import { matrix } from './matrix-type.ts';

/*
 * The pipeline file, field by field. The reader, the JSON Schema and the reference in docs/pipeline.md all come from here.
 */

const NAME = '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$';
const NAME_KEY = { pattern: NAME, what: 'a name: up to 63 letters, digits, "_", "." and "-", not starting with "." or "-"' };
const VARIABLE = '^[A-Za-z_][A-Za-z0-9_]*$';
const VARIABLE_KEY = { pattern: VARIABLE, what: 'the name of an environment variable' };

const relativePath = text({
  what: 'a path inside the work tree',
  pattern: '^(?!/)(?!(.*/)?\\.\\.(/|$))[^\\\\\\u0000]+$',
  hint: 'Paths are relative to the directory of the pipeline file, with "/", and never go up with "..".',
});
const glob = text({
  what: 'a path or pattern inside the work tree',
  pattern: '^!?(?!/)(?!(.*/)?\\.\\.(/|$))[^\\\\\\u0000]+$',
  hint: 'Patterns are relative to the directory of the pipeline file, with "/", and never go up with "..".',
});
const paths = byKind<readonly string[]>('a path or a list of paths', {
  text: mapped(relativePath, (one) => [one]),
  list: list(relativePath),
});
const globs = byKind<readonly string[]>('a pattern or a list of patterns', { text: mapped(glob, (one) => [one]), list: list(glob) });
const line = text({ what: 'text' });

const selector = parsedText({
  what: 'a label selector',
  hint: 'Write requirements such as "class=edge, arch in (amd64,arm64), !gpu, memory >= 8Gi".',
  parse: (written) => {
    const parsed = parseSelector(written);
    return parsed.kind === 'bad' ? { wrong: parsed.message } : { value: written };
  },
});
const labelMap = mapped(
  mapOf(text({ what: 'the value of a label', pattern: '^[A-Za-z0-9]([A-Za-z0-9_.+-]{0,61}[A-Za-z0-9])?$', anyScalar: true }), {
    pattern: '^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$',
    what: 'the name of a label',
  }),
  (labels) => [...labels].map(([key, value]) => `${key}=${value}`).join(', '),
);

const command: FieldType<readonly string[]> = byKind<readonly string[]>('a shell script or a list of program and arguments', {
  // -e: a script of several lines ends at the first that fails.
  text: mapped(text({ what: 'a shell script', pattern: '\\S', hint: 'Say what to run.' }), (script) => ['sh', '-ec', script]),
  list: list(text({ what: 'text', anyScalar: true }), { min: 1 }),
});

const needObject = record('a step, or {step, outputs}', {
  step: { type: text({ what: 'the name of a step' }), about: 'Name of the step.', required: true },
  outputs: { type: flag, about: 'Whether its outputs become inputs here, at the paths where it made them. Default true.' },
});
export type NeedAsWritten = { readonly step: string | undefined; readonly outputs: boolean };
const need = byKind<NeedAsWritten>('the name of a step, or {step, outputs}', {
  text: mapped(text({ what: 'the name of a step' }), (step) => ({ step, outputs: true })),
  map: mapped(needObject, ({ step, outputs }) => ({ step, outputs: outputs ?? true })),
});
const needs = byKind<readonly NeedAsWritten[]>('a step or a list of steps', {
  text: mapped(need, (one) => [one]),
  list: list(need),
});

export type InputsAsWritten = {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Whether files that .gitignore, .switchyardignore and `ignore` name are left out. */
  readonly ignored: boolean;
};
const inputsObject = record('patterns, or {include, exclude, ignored}', {
  include: { type: globs, about: 'Files that the step reads. A directory stands for all below it.', required: true },
  exclude: { type: globs, about: 'Files of these that it does not read.' },
  ignored: { type: flag, about: 'Whether files named by .gitignore, .switchyardignore and "ignore" count too. Default false.' },
});
const inputs = byKind<InputsAsWritten>('a pattern, a list of patterns, or {include, exclude, ignored}', {
  text: mapped(globs, asInputs),
  list: mapped(globs, asInputs),
  map: mapped(inputsObject, ({ include, exclude, ignored }) => ({
    ...asInputs(include ?? []),
    exclude: [...asInputs(include ?? []).exclude, ...(exclude ?? [])],
    ignored: ignored ?? false,
  })),
});

function asInputs(patterns: readonly string[]): InputsAsWritten {
  const exclude = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  return { include: patterns.filter((pattern) => !pattern.startsWith('!')), exclude, ignored: false };
}

const env = mapOf(text({ what: 'text', anyScalar: true }), VARIABLE_KEY);

const resources = record('{cpu, memory, slots, custom}', {
  cpu: { type: cpu, about: 'Cores: 2, 0.5 or 500m. Default: none reserved.' },
  memory: { type: size, about: 'Memory, such as 2Gi. A hard limit where the sandbox can enforce it. Default: none reserved.' },
  slots: { type: number({ min: 1, max: 1_000 }), about: 'Places on the agent that it takes. Default 1.' },
  custom: { type: mapOf(number({ min: 0, max: 1_000_000 }), NAME_KEY), about: 'Other countable things that agents have, such as gpu: 1.' },
});

const retries = number({ min: 0, max: 100 });
/** One field per class that can be retried, so that a new class cannot be forgotten here. */
type RetriedClass = Exclude<keyof typeof FAILURE_CLASSES, 'cancelled'>;
export const RETRIED_CLASSES = Object.keys(FAILURE_CLASSES).filter((name): name is RetriedClass => name !== 'cancelled');
const retry = record(
  'a map of failure classes and counts',
  {
    exit: { type: retries, about: 'Tries after the first when the command ended with a code other than 0. Default 0.' },
    timeout: { type: retries, about: 'When it ran too long. Default 0.' },
    output: { type: retries, about: 'When an output was not what it may be. Default 0.' },
    oom: { type: retries, about: 'When it took more memory than it may. Default 0.' },
    'agent-lost': { type: retries, about: 'When its agent was lost. Default 3, and 0 for steps with side effects.' },
    'agent-stop': { type: retries, about: 'When its agent was stopped. Default 10.' },
    'sandbox-error': { type: retries, about: 'When the sandbox could not be set up. Default 3.' },
    'cache-error': { type: retries, about: 'When inputs or outputs could not be moved. Default 5.' },
    wait: { type: duration, about: 'Ceiling of the wait before the second try; it doubles with each. Default 1s.' },
    waitMax: { type: duration, about: 'Ceiling of every wait. Default 1m.' },
  } satisfies Record<RetriedClass, Field<number>> & Record<'wait' | 'waitMax', Field<number>>,
  {},
  'Write {exit: 2} for tries after a failure of the command.',
);

export type CacheAsWritten = { readonly use: boolean; readonly salt: string; readonly keys: readonly string[] };
const cacheObject = record('true, false, or {salt, keys}', {
  salt: { type: text({ what: 'text', anyScalar: true }), about: 'Any text: another one makes another cache entry.' },
  keys: {
    type: list(text({ what: 'text', anyScalar: true })),
    about: 'Values that the result depends on beside command, environment and inputs, such as ${{ host.platform }}.',
  },
});
const cache = byKind<CacheAsWritten>('true, false, or {salt, keys}', {
  boolean: mapped(flag, (use) => ({ use, salt: '', keys: [] })),
  map: mapped(cacheObject, ({ salt, keys }) => ({ use: true, salt: salt ?? '', keys: keys ?? [] })),
});

const dependencyCache = dependencyCacheType(paths, text({ what: NAME_KEY.what, pattern: NAME }));

const onLag = record('{after, use}', {
  after: { type: duration, about: 'How long the step may wait for an agent.', required: true },
  use: {
    type: choice(['skip', 'default']),
    about: '"skip" skips it and what needs it; "default" counts it as a success without outputs.',
    required: true,
  },
});

const when = byKind<string | boolean>("an expression such as git.branch == 'main'", {
  boolean: flag,
  text: text({ what: 'an expression', pattern: '\\S' }),
});

/** What a template may say too; `defaults` leaves out what makes no sense for all steps. */
const common = {
  env: { type: env, about: 'Environment variables. Those of defaults and template are kept unless named again.' },
  passEnv: {
    type: list(text({ what: 'the name of an environment variable', pattern: VARIABLE })),
    about: 'Variables that the agent passes on from its own environment. Their values are no part of the cache key.',
  },
  labels: {
    type: byKind<string>('a label selector or a map of labels', { text: selector, map: labelMap }),
    about: 'Which agents may run it, such as "class=edge, arch in (amd64,arm64), !gpu, memory >= 8Gi", or a map of labels.',
  },
  resources: { type: resources, about: 'What it takes of its agent.' },
  zone: { type: choice(ZONES), about: 'Lowest zone of trust that may run it. Default untrusted.' },
  environment: {
    type: flag,
    about: 'Whether it runs where the environment of the build is ("switchyard run --environment"). Default true.',
  },
  sandbox: { type: list(choice(SANDBOX_TRAITS)), about: 'What the sandbox must guarantee.' },
  network: { type: flag, about: 'Whether it may use the network. Such a step is cached only where "cache" says so. Default false.' },
  timeout: { type: duration, about: 'Longest run of one attempt. Default 1h.' },
  queueTimeout: { type: duration, about: 'Longest wait for an agent. Default: no bound.' },
  totalTimeout: { type: duration, about: 'Longest time from ready to ended, retries included. Default: no bound.' },
  grace: { type: duration, about: 'Time between the polite and the hard signal when it is stopped. Default 10s.' },
  retry: { type: retry, about: 'How often each class of failure is tried again.' },
  critical: { type: flag, about: 'Whether the build fails when the step does. Default true.' },
  onLag: { type: onLag, about: 'What becomes of a step that is not critical and could not start in time.' },
  priority: { type: number({ min: -1_000, max: 1_000 }), about: 'Higher goes first within the build. Default 0.' },
} as const;

const body = {
  ...common,
  about: { type: line, about: 'What the step is for.' },
  run: { type: command, about: 'A script for "sh -e", or a list of program and arguments.' },
  needs: { type: needs, about: 'Steps that must have ended before. Their outputs are inputs, unless {step, outputs: false}.' },
  inputs: { type: inputs, about: 'Files of the work tree that it reads; nothing else is there when it runs. Default: none.' },
  outputs: { type: paths, about: 'Files and directories to keep: a path or several, relative to workingDirectory.' },
  cache: {
    type: cache,
    about: 'Whether an equal earlier result may be used. Default true, and false for steps with network or side effects.',
  },
  dependencyCache: {
    type: dependencyCache,
    about: 'Directories that it finds as an earlier run left them, under a key, and leaves for later ones: one, or a list.',
  },
  sideEffects: { type: flag, about: 'Whether it changes the world outside of its outputs. Default: true where it is not cached.' },
  runIf: { type: choice(['succeeded', 'failed', 'always']), about: 'When to run, by how the steps it needs ended. Default succeeded.' },
  when: { type: when, about: 'An expression; where it is false at submission, the step is left out of the build.' },
  workingDirectory: { type: relativePath, about: 'Directory in which it runs. Default: the root.' },
} as const;

/** Fields that make no sense for all steps. */
const NO_DEFAULT = Object.fromEntries(
  Object.keys(body)
    .filter((name) => !Object.hasOwn(common, name))
    .map((name) => [name, `"${name}" cannot be a default: give it to each step, or use a template`]),
);

const NOT_YET = {
  secrets: 'secrets are not supported yet: let the agent pass a variable with "passEnv"',
};

export const stepType = record(
  'a step',
  {
    ...body,
    template: {
      type: text({ what: 'the name of a template', pattern: NAME }),
      about: 'Template that gives the fields which are not set here.',
    },
    with: { type: mapOf(scalarValue, NAME_KEY), about: "Values for the template's params." },
    matrix: { type: matrix, about: 'One step per combination of values; ${{ matrix.NAME }} stands for the value.' },
  },
  NOT_YET,
);
export type StepAsWritten = NonNullable<ReturnType<typeof stepType.read>>;

const param = record('{type, default, values, about}', {
  type: { type: choice(['string', 'integer', 'number', 'boolean', 'choice']), about: 'Type of its value.', required: true },
  default: { type: scalarValue, about: 'Value where none is given; without a default one must be given.' },
  values: { type: list(scalarValue, { min: 1 }), about: 'The values of a choice.' },
  about: { type: line, about: 'What it is for.' },
});
export type ParamAsWritten = {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'choice' | undefined;
  readonly default: string | number | boolean | undefined;
  readonly values: readonly (string | number | boolean)[] | undefined;
};
const params = mapOf(param, NAME_KEY);

const templateStep = record('fields of a step', body, {
  ...NOT_YET,
  matrix: 'a template has no matrix: give the step one, and pass its values with "with"',
  template: 'a template cannot use another one',
});
const template = record('{params, step}', {
  about: { type: line, about: 'What it is for.' },
  params: { type: params, about: 'What a step passes with "with"; ${{ with.NAME }} stands for the value.' },
  step: { type: templateStep, about: 'Fields of the steps that use it.', required: true },
});

const version = number({ min: 1, max: 1, what: '1, the only version there is' });

export const pipelineType = record(
  'a pipeline',
  {
    version: { type: version, about: 'Version of this format: 1.', required: true },
    name: {
      type: text({ what: 'text of 1 to 128 characters', pattern: '^.{1,128}$' }),
      about: "The build's name. Default: the directory's.",
    },
    labels: { type: mapOf(text({ what: 'text', anyScalar: true }), NAME_KEY), about: 'Labels of the build, for finding it again.' },
    timeout: { type: duration, about: 'Longest time of the whole build. Default: no bound.' },
    failFast: { type: flag, about: 'Whether the first failure of a critical step cancels what has not started. Default true.' },
    ignore: { type: list(text({ what: 'a pattern as in .gitignore' })), about: 'Files that are never inputs, in the words of .gitignore.' },
    params: { type: params, about: 'Values that a submission may set; ${{ params.NAME }} stands for the value.' },
    defaults: {
      type: record('fields of a step', common, { ...NOT_YET, ...NO_DEFAULT }),
      about: 'Fields for all steps that do not set them.',
    },
    templates: { type: mapOf(template, NAME_KEY), about: 'Steps to use several times, with parameters.' },
    steps: { type: mapOf(stepType, NAME_KEY), about: 'The steps by name.', required: true },
  },
  { ...NOT_YET, jobs: 'there is no field "jobs": steps are listed under "steps", and order comes from "needs"' },
);

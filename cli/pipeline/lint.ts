import { compilePattern, looksLikePattern } from '../inputs/select.ts';
import { namesIn } from './interpolate.ts';
import type { LoadedPipeline, PipelineSource } from './load.ts';
import type { Plan, PlannedStep } from './plan.ts';
import { Problems, type Problem } from '../../base/document/problem.ts';
import { entryOf, type SourceEntry, type SourceMap } from '../../base/document/source.ts';

/** The rules of the linter: what each warns of. `docs/pipeline.md` lists them. */
export const LINT_RULES = {
  'network-cache-without-inputs': 'A step with network is cached, but neither inputs nor cache keys say what its result depends on.',
  'no-timeout': 'A step has no timeout: when it hangs, it holds its agent for an hour.',
  'dependency-cache-key-constant': 'A dependency cache has a key that never changes: what the first run left is used for ever.',
  'pattern-in-dependency-cache': 'A path of a dependency cache has characters of a pattern, but its paths are literal.',
  'inputs-hold-dependency-cache': "A step's inputs match a path of its dependency cache, which takes their place where it is found.",
  'inputs-hold-outputs': "A step's inputs match its own outputs, so that its own result changes its key.",
  'pattern-in-outputs': 'An output has characters of a pattern, but outputs are literal paths: nothing will be found there.',
  'cache-without-inputs': 'A cached step reads nothing: its first result is used for ever.',
  'whole-tree': 'A step reads the whole work tree, so that any change of any file runs it again.',
  'unused-template': 'A template is used by no step.',
  'unused-param': 'A parameter is used nowhere.',
  'env-may-be-secret': 'A variable looks like a secret and stands in the file.',
  'retry-side-effects': 'A step that changes the world is tried again after its agent was lost, though it may have done its work.',
  'pipe-hides-failure': 'A pipe in a shell script hides the exit codes of all its commands but the last.',
} as const;

type Rule = keyof typeof LINT_RULES;

/** Whether an ignore file names a path of the work tree. */
export type IsIgnored = (path: string) => boolean;

/** Bad habits in a pipeline that is otherwise right; nothing where it has errors. */
export function lintPipeline({ plan, source }: Pick<LoadedPipeline, 'plan' | 'source'>, isIgnored: IsIgnored): readonly Problem[] {
  if (plan === undefined || source === undefined) return [];
  const problems = new Problems();
  const entries = new Map(mapOf(source.root, 'steps').entries.map((entry) => [entry.key, entry]));
  const warn = (rule: Rule, step: PlannedStep, field: string, message: string, hint: string) => {
    const at = entries.get(step.key);
    const place = at?.value.kind === 'map' ? (entryOf(at.value, field)?.keyPlace ?? at.keyPlace) : step.place;
    problems.warn(rule, place, `steps.${step.key}.${field}`, message, hint);
  };
  const byName = new Map(plan.steps.map((step) => [step.name, step]));
  for (const step of plan.steps) {
    lintCaching(step, byName, warn);
    lintDependencyCaches(step, isIgnored, warn);
    lintStep(step, isIgnored, warn);
  }
  lintUnused(plan, source, problems);
  return problems.all();
}

type Warn = (rule: Rule, step: PlannedStep, field: string, message: string, hint: string) => void;

function lintCaching(step: PlannedStep, byName: ReadonlyMap<string, PlannedStep>, warn: Warn): void {
  if (!step.cacheable) return;
  const reads = step.inputs.include.length > 0;
  const takesOutputs = step.needs.some((need) => need.outputs && (byName.get(need.step)?.outputs.length ?? 0) > 0);
  if (step.network && step.salt === '' && !reads) {
    warn(
      'network-cache-without-inputs',
      step,
      'cache',
      'a step with network is cached without inputs or keys',
      'Name the lock files as inputs, or give cache keys.',
    );
  } else if (!reads && !takesOutputs && step.salt === '') {
    warn(
      'cache-without-inputs',
      step,
      'inputs',
      'the step reads nothing, so its first result is used for ever',
      'Name its inputs, or write "cache: false".',
    );
  }
}

function lintDependencyCaches(step: PlannedStep, isIgnored: IsIgnored, warn: Warn): void {
  for (const { name, paths, parts, policy } of step.dependencyCaches) {
    if (parts.length <= 1 && policy !== 'pull') {
      const hint = "Put what the content depends on into it, such as ${{ hash('package-lock.json') }}.";
      warn('dependency-cache-key-constant', step, 'dependencyCache', `the key of "${name}" is the same for ever`, hint);
    }
    const pattern = paths.find(looksLikePattern);
    if (pattern !== undefined) {
      const hint = 'Name the directory: it is kept with all that it holds.';
      warn('pattern-in-dependency-cache', step, 'dependencyCache', `"${pattern}" looks like a pattern, but these paths are literal`, hint);
    }
    const held = paths.find((path) => readsOwn(step, path, isIgnored));
    if (held !== undefined) {
      const hint = `Exclude it: "!${held}/**", or let .gitignore name it.`;
      warn('inputs-hold-dependency-cache', step, 'inputs', `the inputs hold "${held}" of the dependency cache "${name}"`, hint);
    }
  }
}

function lintStep(step: PlannedStep, isIgnored: IsIgnored, warn: Warn): void {
  if (step.runTimeoutMs === 0)
    warn('no-timeout', step, 'timeout', 'the step has no timeout', 'Write one such as "timeout: 10m", here or in "defaults".');
  const pattern = step.outputs.find(looksLikePattern);
  if (pattern !== undefined) {
    warn(
      'pattern-in-outputs',
      step,
      'outputs',
      `"${pattern}" looks like a pattern, but outputs are literal paths`,
      'Name the file, or the directory that it is in: a directory is kept with all that it holds.',
    );
  }
  const held = step.cacheable ? step.outputs.find((output) => readsOwn(step, output, isIgnored)) : undefined;
  if (held !== undefined) {
    warn(
      'inputs-hold-outputs',
      step,
      'inputs',
      `the inputs hold the step's own output "${held}"`,
      `Exclude it: "!${held}/**", or let .gitignore name it.`,
    );
  }
  if (step.inputs.include.some((pattern) => ['**', '**/*', '.', './**'].includes(pattern)) && step.inputs.exclude.length === 0) {
    warn('whole-tree', step, 'inputs', 'the step reads the whole work tree', 'Name the directories and files that it reads.');
  }
  for (const name of Object.keys(step.env)) {
    if (/(^|_)(PASSWORD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY|ACCESS_KEY)(_|$)/i.test(name) && step.env[name] !== '') {
      warn(
        'env-may-be-secret',
        step,
        'env',
        `"${name}" looks like a secret`,
        'Secrets in files are read by everybody: let the agent pass it with "passEnv".',
      );
    }
  }
  const again = step.retry?.limits.some((limit) => limit.class === 'agent-lost' && limit.retries > 0) === true;
  if (again && (step.sideEffects ?? !step.cacheable)) {
    warn(
      'retry-side-effects',
      step,
      'retry',
      'a step with side effects is tried again after its agent was lost',
      'Be sure that doing it twice does no harm.',
    );
  }
  const [shell, , script] = step.command;
  if (shell === 'sh' && script !== undefined && /[^|]\|[^|&]/.test(script) && !script.includes('pipefail')) {
    warn(
      'pipe-hides-failure',
      step,
      'run',
      'a pipe hides the exit codes of all its commands but the last',
      'Write to a file and read it, or run a script with bash and "set -o pipefail".',
    );
  }
}

/** Whether one of the patterns takes in the output, as far as ignore files do not keep it out. */
function readsOwn(step: PlannedStep, output: string, isIgnored: IsIgnored): boolean {
  const at = step.workingDirectory === '' ? output : `${step.workingDirectory}/${output}`;
  const samples = [at, `${at}/file`];
  const hits = (patterns: readonly string[]) => patterns.some((pattern) => samples.some(compilePattern(pattern).matches));
  return (step.inputs.ignored || !isIgnored(at)) && hits(step.inputs.include) && !hits(step.inputs.exclude);
}

function lintUnused(plan: Plan, source: PipelineSource, problems: Problems): void {
  const used = namesIn(source.root);
  const unused = (rule: Rule, entry: SourceEntry, field: string, what: string) =>
    problems.warn(rule, entry.keyPlace, `${field}.${entry.key}`, `the ${what} "${entry.key}" is used nowhere`, 'Remove it.');
  const left = new Set(plan.left);
  const usedByLeft = (name: string) =>
    mapOf(source.root, 'steps').entries.some(({ key, value }) => {
      const template = value.kind === 'map' ? entryOf(value, 'template')?.value : undefined;
      return left.has(key) && template?.kind === 'text' && template.value === name;
    });
  for (const entry of mapOf(source.root, 'templates').entries) {
    if (!source.expansion.usedTemplates.has(entry.key) && !usedByLeft(entry.key)) unused('unused-template', entry, 'templates', 'template');
    const body = entry.value.kind === 'map' ? namesIn(mapOf(entry.value, 'step')) : new Set<string>();
    const params = entry.value.kind === 'map' ? mapOf(entry.value, 'params').entries : [];
    for (const param of params)
      if (!body.has(`with.${param.key}`)) unused('unused-param', param, `templates.${entry.key}.params`, 'parameter');
  }
  for (const entry of mapOf(source.root, 'params').entries) {
    if (!used.has(`params.${entry.key}`)) unused('unused-param', entry, 'params', 'parameter');
  }
}

function mapOf(map: SourceMap, key: string): SourceMap {
  const value = entryOf(map, key)?.value;
  return value?.kind === 'map' ? value : { kind: 'map', entries: [], place: map.place };
}

import type { HashFiles, Names, Value } from './expression.ts';
import { expand, type Expansion, type Template } from './expand.ts';
import { interpolate } from './interpolate.ts';
import { bindParams, isShort, paramFromText, type GivenParam, type ParamDeclarations } from './params.ts';
import type { Plan } from './plan.ts';
import { planSteps } from './plan-steps.ts';
import { Problems, type Problem } from '../../base/document/problem.ts';
import { whyWrong } from '../../base/document/typed-value.ts';
import { entryOf, parseSource, type SourceHints, type SourceMap, type SourceNode } from '../../base/document/source.ts';
import { pipelineType } from './table.ts';

/** What expressions may refer to beside the file itself. */
export type PipelineContext = {
  /** The submitter's environment: `env.NAME`, '' where unset. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly git: { readonly branch: string; readonly commit: string; readonly tag: string };
  /** The submitting machine: its `platform` (linux-x64) and the version of Node that runs us. */
  readonly host: { readonly platform: string; readonly node: string };
  /** Name of the build where the file gives none. */
  readonly defaultName: string;
  /** `--param NAME=VALUE`, as written. */
  readonly params: ReadonlyMap<string, string>;
  /** The environment that the build is for, and the flags as they are there. @default none: every name of them is '' */
  readonly settings?: Settings;
  /** Reads files of the work tree for `hash(…)`; `ignore` is what the file names beside the ignore files. */
  readonly hashFiles: (patterns: readonly string[], ignore: readonly string[]) => ReturnType<HashFiles>;
};

/** What a server says of an environment. */
export type Settings = {
  /** '' for none. */
  readonly environment: string;
  readonly params: Readonly<Record<string, Value>>;
  readonly flags: Readonly<Record<string, Value>>;
};

/** The file as read; for the linter. */
export type PipelineSource = {
  readonly root: SourceMap;
  readonly templates: ReadonlyMap<string, Template>;
  readonly params: ParamDeclarations;
  readonly expansion: Expansion;
};

export type LoadedPipeline = {
  /** Undefined where there are errors. */
  readonly plan: Plan | undefined;
  readonly source: PipelineSource | undefined;
  readonly problems: readonly Problem[];
};

/** What to do about a pipeline file that is empty or too large. */
export const SOURCE_HINTS: SourceHints = { empty: 'Start with "version: 1" and "steps:".', large: 'Use a matrix, or several builds.' };

/** Reads a pipeline file: text to plan, or everything that is wrong with it. Pure, but for what `hashFiles` reads. */
export function loadPipeline(written: string, context: PipelineContext): LoadedPipeline {
  const problems = new Problems();
  const root = parseSource(written, problems, SOURCE_HINTS);
  if (root === undefined) return { plan: undefined, source: undefined, problems: problems.all() };
  const read = pipelineType.read(root, '', { problems, deferred: true });
  if (read === undefined || root.kind !== 'map') return { plan: undefined, source: undefined, problems: problems.all() };
  const params = read.params ?? new Map();
  checkDeclarations(params, root, 'params', problems);
  const names = namesOf(params, root, context, problems);
  const templates = templatesOf(root, read.templates ?? new Map(), problems);
  const steps = mapAt(root, 'steps');
  if (steps !== undefined && steps.entries.length === 0) problems.error(steps.place, 'steps', 'the pipeline has no steps');
  const defaults = mapAt(root, 'defaults');
  const expansion = expand({ steps: steps ?? { kind: 'map', entries: [], place: root.place }, defaults, templates, names }, problems);
  const planned = planSteps(expansion, context.settings?.environment ?? '', problems);
  const head = headOf(root, names, problems);
  const plan: Plan = {
    name: head.name ?? context.defaultName,
    labels: Object.fromEntries(head.labels ?? []),
    timeoutMs: head.timeout ?? 0,
    failFast: head.failFast ?? true,
    ignore: head.ignore ?? [],
    steps: planned,
    left: expansion.left,
  };
  const source = { root, templates, params, expansion };
  return { plan: problems.errorCount === 0 ? plan : undefined, source, problems: problems.all() };
}

/** The fields of the whole build, with their expressions replaced. */
function headOf(root: SourceMap, names: Names, problems: Problems) {
  const wanted = new Set(['name', 'labels', 'timeout', 'failFast', 'ignore']);
  const entries = root.entries
    .filter(({ key }) => wanted.has(key))
    .map((entry) => ({ ...entry, value: interpolate(entry.value, entry.key, names, problems) }));
  const whole = root.entries.filter(({ key }) => key === 'version' || key === 'steps');
  // Steps are read one by one elsewhere: here an empty map satisfies the type.
  const stub = whole.map((entry) =>
    entry.key === 'steps' ? { ...entry, value: { ...entry.value, kind: 'map' as const, entries: [] } } : entry,
  );
  return pipelineType.read({ ...root, entries: [...entries, ...stub] }, '', { problems: new Problems(), deferred: false }) ?? EMPTY_HEAD;
}

const EMPTY_HEAD = { name: undefined, labels: undefined, timeout: undefined, failFast: undefined, ignore: undefined };

function namesOf(declared: ParamDeclarations, root: SourceMap, context: PipelineContext, problems: Problems): Names {
  const place = entryOf(root, 'params')?.keyPlace ?? root.place;
  const given = new Map<string, GivenParam>(
    [...context.params].map(([name, written]) => [
      name,
      { value: paramFromText(declared.get(name), written), place, field: `--param ${name}` },
    ]),
  );
  const params = bindParams(declared, given, { place, field: 'params', giveWith: 'Give it: --param NAME=VALUE.' }, problems);
  const env: Record<string, Value> = {};
  for (const [name, value] of Object.entries(context.env)) if (value !== undefined) env[name] = value;
  const groups = {
    params: { open: isShort(declared, params), values: params },
    env: { open: true, values: env },
    git: { open: false, values: context.git },
    host: { open: false, values: context.host },
    environment: groupOf(context.settings, (settings) => ({ ...settings.params, name: settings.environment })),
    flags: groupOf(context.settings, ({ flags }) => flags),
  };
  const ignore = textsOf(entryOf(root, 'ignore')?.value);
  return { groups, hash: (patterns) => context.hashFiles(patterns, ignore) };
}

/** Without settings, or outside of any environment, names that it could have are ''. */
function groupOf(settings: Settings | undefined, values: (settings: Settings) => Readonly<Record<string, Value>>): Names['groups'][string] {
  return settings === undefined ? { open: true, values: {} } : { open: settings.environment === '', values: values(settings) };
}

/** The texts of a list that is to be read before its expressions can be. */
function textsOf(node: SourceNode | undefined): readonly string[] {
  return node?.kind === 'list' ? node.items.flatMap((item) => (item.kind === 'text' ? [item.value] : [])) : [];
}

function checkDeclarations(declared: ParamDeclarations, root: SourceNode, field: string, problems: Problems): void {
  for (const [name, declaration] of declared) {
    const at = `${field}.${name}`;
    const choice = declaration.type === 'choice';
    if (choice && declaration.values === undefined) problems.error(root.place, at, 'a choice needs "values"');
    if (!choice && declaration.values !== undefined) problems.error(root.place, at, 'only a choice has "values"', 'Write type: choice.');
    const wrong = declaration.default === undefined ? undefined : whyWrong(declaration, declaration.default);
    if (wrong !== undefined) problems.error(root.place, `${at}.default`, wrong);
  }
}

type TemplateAsRead = { readonly params: ParamDeclarations | undefined };

function templatesOf(root: SourceMap, read: ReadonlyMap<string, TemplateAsRead>, problems: Problems): ReadonlyMap<string, Template> {
  const found = new Map<string, Template>();
  for (const { key, keyPlace, value } of mapAt(root, 'templates')?.entries ?? []) {
    if (value.kind !== 'map') continue;
    const params = read.get(key)?.params ?? new Map();
    checkDeclarations(params, { ...value, place: keyPlace }, `templates.${key}.params`, problems);
    found.set(key, { params, step: mapAt(value, 'step') ?? { kind: 'map', entries: [], place: keyPlace } });
  }
  return found;
}

function mapAt(map: SourceMap, key: string): SourceMap | undefined {
  const value = entryOf(map, key)?.value;
  return value?.kind === 'map' ? value : undefined;
}

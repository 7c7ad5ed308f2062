import type { Explanation } from '../../cache/entries/explain.ts';
import type { StepView } from '../build-view.ts';
import { dependencyLines } from '../view/dependency.ts';
import { formatTime, printable, type Style } from '../view/format.ts';
import type { KeySearch } from './find-key.ts';
import { writtenKey } from './find-key.ts';
import type { StepExplanation } from './explain-step.ts';
import { madeBy, nameText } from './render.ts';

function section(title: string, lines: readonly string[], style: Style): readonly string[] {
  return lines.length === 0 ? [] : ['', style.bold(title), ...lines.map((line) => `  ${line}`)];
}

/** Why a step had no result from the cache, or that it had one. Pure. */
export function stepExplanationLines(found: StepExplanation, nowMs: number, style: Style): readonly string[] {
  const { step, told } = found;
  const caches = step.dependencyCaches ?? [];
  return [
    `${step.name} of ${found.build}: ${headline(step, style)}`,
    ...section('What the cache had', told.cache.map(printable), style),
    ...comparedLines(found, style),
    ...keptLines(found, nowMs, style),
    ...section(
      'Dependency caches',
      caches.length > 0 ? caches.flatMap((cache) => dependencyLines(cache, style)) : told.dependencyCaches.map(printable),
      style,
    ),
  ];
}

function headline({ source, phase, verdict, action, result }: StepView, style: Style): string {
  const on = result === undefined ? '' : ` on ${printable(result.agent)}`;
  if (source === 'cache') return style.good('took its result from the cache');
  if (source === 'merge') return 'took the result of an equal step that ran at the same time';
  if (action === undefined || action === '') return `has not been looked up: it is ${verdict ?? phase}`;
  if (source === 'run' || verdict !== undefined) return style.warn(`ran${on}: no result in the cache would do`);
  return `found no result in the cache, and is ${phase}`;
}

function comparedLines({ compared, step }: StepExplanation, style: Style): readonly string[] {
  if (step.source === 'cache' || step.action === undefined || step.action === '') return [];
  if (compared === undefined) return section('What is other', ['no earlier build of this name has the step with a success'], style);
  const title = `What is other than in ${compared.build}, where it succeeded last`;
  if (compared.unknown !== undefined) return section(title, [printable(compared.unknown)], style);
  return compared.changes.length === 0
    ? section(title, ['nothing: it is the same action, so the key is not the reason'], style)
    : section(title, compared.changes.map(printable), style);
}

function keptLines({ kept, causes, step }: StepExplanation, nowMs: number, style: Style): readonly string[] {
  if (step.action === undefined || step.action === '') return [];
  const lines =
    kept === undefined
      ? [`no result of its action ${step.action}`, ...causes.map(printable)]
      : [`a result in ${kept.at.owner.scope}, written ${formatTime(nowMs - kept.writtenAt)} ago by ${madeBy(kept.provenance)}`];
  return section('In the cache now', lines, style);
}

/** What is known of a key. Pure. */
export function keyExplanationLines(
  key: string,
  { kind, found, near }: KeySearch,
  { complete, why }: { readonly complete: boolean; readonly why: Pick<Explanation, 'causes'> },
  reads: string,
  nowMs: number,
  style: Style,
): readonly string[] {
  const shown = printable(key);
  const rows = (entries: KeySearch['found']) =>
    entries.flatMap((entry) => [
      `${nameText(entry.at)}, written ${formatTime(nowMs - entry.writtenAt)} ago by ${madeBy(entry.provenance)}`,
      ...entry.parts.map(({ name, value }) => style.dim(`  made from ${printable(name)}: ${printable(value)}`)),
    ]);
  const headline =
    found.length === 0
      ? style.warn(`${shown}: ${reads} and the scopes above it have no ${kind} entry of this key`)
      : complete
        ? style.good(`${shown}: found`)
        : style.warn(`${shown}: there is an entry, but blobs that it names are gone, so that it is a miss until it is written again`);
  return [
    headline,
    ...section('Entries', rows(found), style),
    ...section('Why there is none', why.causes.map(printable), style),
    ...section(
      'Keys that begin most like it',
      near.map((entry) => `${printable(writtenKey(entry))} of ${entry.at.owner.scope}, by ${madeBy(entry.provenance)}`),
      style,
    ),
  ];
}

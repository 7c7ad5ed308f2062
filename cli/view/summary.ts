import { criticalPath, criticalPathText } from './critical-path.ts';
import { columns, count, formatBytes, formatTime, printable, type Style } from './format.ts';
import { endText } from './lines.ts';
import { STEP_VERDICTS } from '../build-view.ts';
import { timeOf, type BuildModel, type StepProgress } from './model.ts';

/** What sending the inputs cost. */
export type UploadCount = { readonly sentBytes: number; readonly totalBytes: number };

/** What a build saved and cost; the numbers under the summary, and `totals` of the JSON output. */
export type Totals = {
  readonly steps: number;
  readonly succeeded: number;
  readonly fromCache: number;
  readonly merged: number;
  /** Time that commands ran. */
  readonly ranMs: number;
  /** Time that the commands of cached results once took. */
  readonly savedMs: number;
  /** Bytes that were in the cache already: inputs not sent, and outputs of cached results. */
  readonly savedBytes: number;
  readonly sentBytes: number;
};

export function totalsOf(steps: readonly StepProgress[], upload: UploadCount | undefined): Totals {
  const ended = steps.filter((step) => step.verdict === 'succeeded');
  const cached = ended.filter((step) => step.source !== 'run');
  const ran = steps.filter((step) => step.source === 'run' || step.source === undefined);
  const runMs = (list: readonly StepProgress[]) => list.reduce((total, step) => total + (step.result?.usage.runMs ?? 0), 0);
  return {
    steps: steps.length,
    succeeded: ended.length,
    fromCache: ended.filter((step) => step.source === 'cache').length,
    merged: ended.filter((step) => step.source === 'merge').length,
    ranMs: runMs(ran),
    savedMs: runMs(cached),
    savedBytes:
      cached.reduce((total, step) => total + outputBytes(step), 0) + (upload === undefined ? 0 : upload.totalBytes - upload.sentBytes),
    sentBytes: upload?.sentBytes ?? 0,
  };
}

function outputBytes(step: StepProgress): number {
  const outputs = step.result?.outputs ?? [];
  return outputs.reduce((total, output) => {
    if (output.kind === 'directory') return total + output.bytes;
    return output.kind === 'file' ? total + Number(output.digest.slice(65)) : total;
  }, 0);
}

const REASONS_MAX = 20;

/** The end of a build: a line per step (all that are of interest, at most `rows`), then verdict, critical path and cache. Pure. */
export function summary(model: BuildModel, upload: UploadCount | undefined, style: Style, rows = 60): readonly string[] {
  const { steps, build } = model;
  const totals = totalsOf(steps, upload);
  const shown = steps.length <= rows ? steps : steps.filter((step) => step.verdict !== 'succeeded').slice(0, rows);
  const end = build.endedAtMs ?? build.acceptedAtMs;
  const plain = columns([
    ['STEP', 'RESULT', 'FROM', 'AGENT', 'TIME'],
    ...shown.map((step) => [
      step.name,
      step.verdict ?? step.phase,
      step.source ?? '-',
      step.agent === '' ? '-' : step.agent,
      timeText(step, end),
    ]),
  ]);
  const table = plain.map((line, index) => (index === 0 ? style.bold(line) : colourOf(shown[index - 1], style)(line)));
  const hidden = steps.length - shown.length;
  const reasons = reasonLines(steps, end, style);
  return [
    ...table,
    ...(hidden > 0 ? [style.dim(`… and ${count(hidden, 'step')} more`)] : []),
    '',
    ...(reasons.length > 0 ? [...reasons, ''] : []),
    verdictLine(model, totals, style),
    ...build.degraded.map((why) => style.warn(`Degraded: ${printable(why)}`)),
    ...pathLine(model),
    ...cacheLine(totals, upload),
  ];
}

/** Failures one by one; what was skipped or cancelled because of them, by reason. */
function reasonLines(steps: readonly StepProgress[], endMs: number, style: Style): readonly string[] {
  const lines: string[] = [];
  const groups = new Map<string, string[]>();
  for (const step of steps) {
    if (step.verdict === undefined || step.verdict === 'succeeded' || step.message === '') continue;
    const text = endText(step, endMs, style);
    if (step.verdict === 'skipped' || step.verdict === 'cancelled') groups.set(text, [...(groups.get(text) ?? []), step.name]);
    else if (lines.length < REASONS_MAX) lines.push(`  ${step.name}: ${text}`);
  }
  for (const [text, names] of [...groups].slice(0, REASONS_MAX)) {
    const few = names.length <= 3 ? names.join(', ') : `${names.slice(0, 2).join(', ')} and ${names.length - 2} more`;
    lines.push(`  ${few}: ${text}`);
  }
  return lines;
}

function colourOf(step: StepProgress | undefined, style: Style): (text: string) => string {
  if (step?.verdict === 'succeeded') return (text) => text;
  return step?.verdict === 'skipped' || step?.verdict === 'cancelled' ? style.dim : style.bad;
}

function timeText(step: StepProgress, nowMs: number): string {
  const time = timeOf(step, nowMs);
  return time === undefined ? '-' : formatTime(time);
}

function verdictLine(model: BuildModel, totals: Totals, style: Style): string {
  const { build } = model;
  const time = formatTime((build.endedAtMs ?? build.acceptedAtMs) - build.acceptedAtMs);
  const word = build.verdict === 'succeeded' ? style.good('succeeded') : style.bad(build.verdict ?? build.phase);
  const ran = totals.succeeded - totals.fromCache - totals.merged;
  const parts = [
    ...(ran > 0 ? [`${ran} ran`] : []),
    ...(totals.fromCache > 0 ? [`${totals.fromCache} from the cache`] : []),
    ...(totals.merged > 0 ? [`${totals.merged} merged`] : []),
  ];
  const ended = totals.succeeded === totals.steps ? count(totals.steps, 'step') : `${totals.succeeded} of ${count(totals.steps, 'step')}`;
  const others = STEP_VERDICTS.filter((verdict) => verdict !== 'succeeded').flatMap((verdict) => {
    const amount = model.steps.filter((step) => step.verdict === verdict).length;
    return amount === 0 ? [] : [`, ${amount} ${verdict}`];
  });
  const how = parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  return `Build ${build.id} ${word} in ${time}: ${ended} succeeded${how}${others.join('')}`;
}

function pathLine(model: BuildModel): readonly string[] {
  const path = criticalPath(model.steps);
  if (path === undefined || path.totalMs < 50) return [];
  return [`Critical path ${formatTime(path.totalMs)}: ${criticalPathText(path)}`];
}

function cacheLine(totals: Totals, upload: UploadCount | undefined): readonly string[] {
  const parts = [
    ...(totals.savedMs > 0 ? [`${formatTime(totals.savedMs)} of work saved`] : []),
    ...(totals.savedBytes > 0 ? [`${formatBytes(totals.savedBytes)} were there already`] : []),
    ...(upload === undefined || upload.totalBytes === 0
      ? []
      : [`${formatBytes(upload.sentBytes)} of ${formatBytes(upload.totalBytes)} inputs sent`]),
  ];
  return parts.length === 0 ? [] : [`Cache: ${parts.join(', ')}`];
}

import { criticalPath, criticalPathText } from './critical-path.ts';
import { count, formatBytes, formatTime, printable, type Style } from './format.ts';
import { endText } from './lines.ts';
import { timeOf, type BuildModel, type StepProgress } from './model.ts';
import { totalsOf, type UploadCount } from './summary.ts';
import { displayWidth, fit, pad } from './width.ts';

export type FrameSize = { readonly columns: number; readonly rows: number };

/** Steps that ended this long ago leave the frame when there is no room. */
const RANK = { running: 0, failed: 1, queued: 2, resolving: 3, merged: 3, ended: 4, blocked: 5 } as const;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** What a frame shows beside the build itself. */
export type FrameExtras = {
  /** A line that belongs to the moment; '' for none. */
  readonly notice: string;
  readonly upload: UploadCount | undefined;
};

/** The live view: lines for the build, a line per step as far as there is room, and what is left out. Pure. */
export function frame(model: BuildModel, nowMs: number, size: FrameSize, style: Style, extras?: FrameExtras): readonly string[] {
  const { steps } = model;
  const { notice = '', upload } = extras ?? {};
  const below = size.rows < ROWS_FOR_MORE ? [] : moreLines(model, nowMs, upload).map((line) => style.dim(fit(line, size.columns)));
  const room = Math.max(3, size.rows - 4 - below.length);
  const chosen = new Set(
    steps
      .map((step, index) => ({ step, index }))
      .toSorted((a, b) => RANK[rankOf(a.step)] - RANK[rankOf(b.step)] || recent(b.step) - recent(a.step) || a.index - b.index)
      .slice(0, room)
      .map(({ step }) => step),
  );
  const shown = steps.filter((step) => chosen.has(step));
  const width = Math.min(40, Math.max(4, ...shown.map((step) => displayWidth(step.name))));
  const open = new Set(steps.filter((step) => step.phase !== 'ended').map((step) => step.name));
  const lines = shown.map((step) => stepLine(step, width, { nowMs, columns: size.columns, open }, style));
  const hidden = steps.length - shown.length;
  return [
    headLine(model, nowMs, size.columns, style),
    ...lines,
    ...(hidden > 0 ? [style.dim(fit(`  … and ${count(hidden, 'step')} more: ${phasesOf(steps, chosen)}`, size.columns))] : []),
    ...below,
    ...(notice === '' ? [] : [style.warn(fit(notice, size.columns))]),
  ];
}

/** Terminals of fewer rows show steps only. */
const ROWS_FOR_MORE = 12;

/** What the cache saved so far, and the chain of steps that takes longest so far. */
function moreLines(model: BuildModel, nowMs: number, upload: UploadCount | undefined): readonly string[] {
  const { savedMs, savedBytes, fromCache, merged } = totalsOf(model.steps, upload);
  const saved = [...(savedMs > 0 ? [`${formatTime(savedMs)} of work`] : []), ...(savedBytes > 0 ? [formatBytes(savedBytes)] : [])];
  const hits = fromCache + merged;
  const path = model.build.phase === 'ended' ? undefined : criticalPath(model.steps, nowMs);
  return [
    ...(saved.length === 0 ? [] : [`  saved: ${saved.join(' and ')}${hits === 0 ? '' : `, ${count(hits, 'step')} did not have to run`}`]),
    ...(path === undefined || path.steps.length < 2
      ? []
      : [`  critical path so far: ${formatTime(path.totalMs)}, ${criticalPathText(path)}`]),
  ];
}

/** "3 queued, 12 blocked": the steps that there is no room for. */
function phasesOf(steps: readonly StepProgress[], chosen: ReadonlySet<StepProgress>): string {
  const amounts = new Map<string, number>();
  for (const step of steps) {
    if (chosen.has(step)) continue;
    const word = step.verdict ?? step.phase;
    amounts.set(word, (amounts.get(word) ?? 0) + 1);
  }
  return [...amounts].map(([word, amount]) => `${amount} ${word}`).join(', ');
}

function headLine(model: BuildModel, nowMs: number, columns: number, style: Style): string {
  const { build, steps } = model;
  const running = steps.filter((step) => step.phase === 'running').length;
  const parts = [
    `${build.stepsEnded}/${build.stepsTotal} steps`,
    ...(running > 0 ? [`${running} running`] : []),
    ...(build.stepsFromCache > 0 ? [`${build.stepsFromCache} from the cache`] : []),
    formatTime((build.endedAtMs ?? nowMs) - build.acceptedAtMs),
  ];
  return style.bold(fit(`${printable(build.name)}  ${parts.join(', ')}  ${build.id}`, columns));
}

function rankOf(step: StepProgress): keyof typeof RANK {
  if (step.phase !== 'ended') return step.phase;
  return step.verdict === 'succeeded' || step.verdict === 'skipped' ? 'ended' : 'failed';
}

function recent(step: StepProgress): number {
  return step.endedAtMs ?? 0;
}

type LineContext = {
  readonly nowMs: number;
  readonly columns: number;
  /** Names of the steps that have not ended. */
  readonly open: ReadonlySet<string>;
};

function stepLine(step: StepProgress, width: number, context: LineContext, style: Style): string {
  // On a narrow terminal, what a step does matters as much as its whole name.
  const shown = Math.max(4, Math.min(width, Math.floor(context.columns / 2)));
  const left = Math.max(10, context.columns - shown - 5);
  return `${symbol(step, context.nowMs, style)} ${pad(fit(step.name, shown), shown)}  ${stateText(step, context, left, style)}`;
}

function symbol(step: StepProgress, nowMs: number, style: Style): string {
  if (step.phase === 'running') return style.live(SPINNER[Math.floor(nowMs / 100) % SPINNER.length] ?? '*');
  if (step.phase !== 'ended') return style.dim('·');
  if (step.verdict === 'succeeded') return style.good('✓');
  return step.verdict === 'skipped' || step.verdict === 'cancelled' ? style.dim('-') : style.bad('✗');
}

/** Cut to `width` before it is coloured, so that no escape sequence is cut. */
function stateText(step: StepProgress, { nowMs, open }: LineContext, width: number, style: Style): string {
  const again = step.attempt > 1 ? `, attempt ${step.attempt}` : '';
  switch (step.phase) {
    case 'running': {
      const time = timeOf(step, nowMs);
      return fit(time === undefined ? `prepares on ${step.agent}${again}` : `runs on ${step.agent} for ${formatTime(time)}${again}`, width);
    }
    case 'queued': {
      const why = step.waiting !== '' ? step.waiting : step.queuedWhy;
      return style.dim(fit(why === '' ? 'waits for an agent' : `waits: ${printable(why)}`, width));
    }
    case 'resolving':
      return style.dim('looks into the cache');
    case 'merged':
      return style.dim(fit(`joins ${printable(step.mergedInto ?? 'another step')}`, width));
    case 'blocked': {
      const needs = step.needs.filter((need) => open.has(need));
      const amount = needs.length > 3 ? `${needs.length} steps: ` : '';
      return style.dim(fit(needs.length === 0 ? 'waits' : `needs ${amount}${needs.join(', ')}`, width));
    }
    case 'ended': {
      const plain = { good: same, bad: same, warn: same, live: same, dim: same, bold: same };
      const text = fit(endText(step, nowMs, plain) + (step.source === 'run' && step.agent !== '' ? ` on ${step.agent}` : ''), width);
      return step.verdict === 'succeeded' ? text : style.dim(text);
    }
  }
}

function same(text: string): string {
  return text;
}

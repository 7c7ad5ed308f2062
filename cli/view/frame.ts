import { count, fit, formatTime, printable, type Style } from './format.ts';
import { endText } from './lines.ts';
import { timeOf, type BuildModel, type StepProgress } from './model.ts';

export type FrameSize = { readonly columns: number; readonly rows: number };

/** Steps that ended this long ago leave the frame when there is no room. */
const RANK = { running: 0, failed: 1, queued: 2, resolving: 3, merged: 3, ended: 4, blocked: 5 } as const;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** The live view: a line for the build, a line per step as far as there is room, and what is left out. Pure. */
export function frame(model: BuildModel, nowMs: number, size: FrameSize, style: Style, notice = ''): readonly string[] {
  const { steps } = model;
  const room = Math.max(3, size.rows - 4);
  const chosen = new Set(
    steps
      .map((step, index) => ({ step, index }))
      .toSorted((a, b) => RANK[rankOf(a.step)] - RANK[rankOf(b.step)] || recent(b.step) - recent(a.step) || a.index - b.index)
      .slice(0, room)
      .map(({ step }) => step),
  );
  const shown = steps.filter((step) => chosen.has(step));
  const width = Math.min(40, Math.max(4, ...shown.map((step) => [...step.name].length)));
  const lines = shown.map((step) => stepLine(step, width, nowMs, size.columns, style));
  const hidden = steps.length - shown.length;
  return [
    headLine(model, nowMs, size.columns, style),
    ...lines,
    ...(hidden > 0 ? [style.dim(`  … and ${count(hidden, 'step')} more`)] : []),
    ...(notice === '' ? [] : [style.warn(fit(notice, size.columns))]),
  ];
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

function stepLine(step: StepProgress, width: number, nowMs: number, columns: number, style: Style): string {
  const name = fit(step.name, width).padEnd(width);
  const left = Math.max(10, columns - width - 5);
  return `${symbol(step, nowMs, style)} ${name}  ${stateText(step, nowMs, left, style)}`;
}

function symbol(step: StepProgress, nowMs: number, style: Style): string {
  if (step.phase === 'running') return style.live(SPINNER[Math.floor(nowMs / 100) % SPINNER.length] ?? '*');
  if (step.phase !== 'ended') return style.dim('·');
  if (step.verdict === 'succeeded') return style.good('✓');
  return step.verdict === 'skipped' || step.verdict === 'cancelled' ? style.dim('-') : style.bad('✗');
}

/** Cut to `width` before it is coloured, so that no escape sequence is cut. */
function stateText(step: StepProgress, nowMs: number, width: number, style: Style): string {
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
    case 'blocked':
      return style.dim(fit(step.needs.length === 0 ? 'waits' : `needs ${step.needs.join(', ')}`, width));
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

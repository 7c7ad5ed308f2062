import type { BuildSnapshot } from '../build-view.ts';
import { UsageError, EXIT } from '../exit.ts';
import { openServer, printJson, printLines, resolveBuild, type Session } from '../session.ts';
import { suggest } from '../../base/suggest.ts';
import { frame } from '../view/frame.ts';
import { formatBytes, formatTime, printable } from '../view/format.ts';
import { BuildModel, type StepProgress } from '../view/model.ts';
import { summary } from '../view/summary.ts';

/** Shows a build with its steps, or one step with its attempts and outputs. */
export async function showCommand(session: Session, buildText: string, stepName: string | undefined): Promise<number> {
  using server = await openServer(session);
  const id = await resolveBuild(server, buildText, session.signal);
  const snapshot = await server.snapshot(id, session.signal);
  if (stepName !== undefined) return showStep(session, snapshot, stepName);
  if (session.json) {
    printJson(session, snapshot);
    return EXIT.ok;
  }
  const model = new BuildModel(snapshot);
  const size = { columns: session.terminal.stdout.columns ?? 120, rows: 1_000 };
  const lines =
    model.build.phase === 'ended'
      ? summary(model, undefined, session.style)
      : frame(model, session.terminal.clock.now(), size, session.style);
  const labels = Object.entries(model.build.labels).map(([key, value]) => `${key}=${printable(value)}`);
  printLines(session, [...lines, ...(labels.length > 0 ? [`Labels: ${labels.join(', ')}`] : [])]);
  return EXIT.ok;
}

function showStep(session: Session, snapshot: BuildSnapshot, name: string): number {
  const step = new BuildModel(snapshot).step(name);
  if (step === undefined) {
    const near = suggest(
      name,
      snapshot.steps.map((candidate) => candidate.name),
    );
    throw new UsageError(`The build has no step "${name}"`, near === undefined ? undefined : `Did you mean "${near}"?`);
  }
  if (session.json) printJson(session, { step: snapshot.steps.find((candidate) => candidate.name === name) });
  else printLines(session, stepLines(step, session));
  return EXIT.ok;
}

function stepLines(step: StepProgress, { style }: Session): readonly string[] {
  const { usage } = step.result ?? {};
  const row = (name: string, value: string) => (value === '' ? [] : [`${name.padEnd(10)} ${value}`]);
  return [
    style.bold(step.name),
    ...row('state', `${step.verdict ?? step.phase}${step.source === undefined ? '' : ` (${step.source})`}`),
    ...row('message', printable(step.message)),
    ...row('needs', step.needs.join(', ')),
    ...row('action', step.action ?? ''),
    ...step.attempts.map((attempt) => {
      const time = attempt.endedAtMs === undefined ? 'runs' : formatTime(attempt.endedAtMs - attempt.acceptedAtMs);
      return `attempt ${attempt.number}  ${attempt.agent}  ${time}  ${printable(attempt.endedWhy)}`;
    }),
    ...(usage === undefined
      ? []
      : row('times', `prepare ${formatTime(usage.prepareMs)}, run ${formatTime(usage.runMs)}, upload ${formatTime(usage.uploadMs)}`)),
    ...(usage === undefined ? [] : row('used', `cpu ${formatTime(usage.cpuMs)}, memory ${formatBytes(usage.peakMemoryBytes)}`)),
    ...(usage === undefined ? [] : row('moved', `${formatBytes(usage.bytesIn)} in, ${formatBytes(usage.bytesOut)} out`)),
    ...(step.result?.outputs ?? []).map((output) => `output     ${output.path}${output.kind === 'directory' ? '/' : ''}`),
  ];
}

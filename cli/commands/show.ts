import type { BuildSnapshot } from '../build-view.ts';
import { looksLikePattern } from '../inputs/select.ts';
import { EXIT } from '../exit.ts';
import { serverClock } from '../server-clock.ts';
import { openServer, printJson, printLines, resolveBuild, type Session } from '../session.ts';
import { stepUnknown } from '../step-name.ts';
import { dependencyLines } from '../view/dependency.ts';
import { frame } from '../view/frame.ts';
import { formatBytes, formatTime, printable } from '../view/format.ts';
import { BuildModel, type StepProgress } from '../view/model.ts';
import { summary } from '../view/summary.ts';
import { whyWaiting } from '../run/explain-waiting.ts';

/** Waiting steps that the server is asked about: each is a call. */
const EXPLAINED_MAX = 20;

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
  for (const step of model.steps.filter(({ phase }) => phase === 'queued' || phase === 'resolving').slice(0, EXPLAINED_MAX)) {
    const explanation = await server.explain(id, step.name, session.signal);
    if (explanation.phase === 'queued' || explanation.reasons.length > 0) model.explain(step.name, whyWaiting(explanation));
  }
  const size = { columns: session.terminal.stdout.columns ?? 120, rows: 1_000 };
  const lines =
    model.build.phase === 'ended'
      ? summary(model, undefined, session.style)
      : frame(model, (await serverClock(server, session.terminal.clock, session.signal)).now(), size, session.style);
  const labels = Object.entries(model.build.labels).map(([key, value]) => `${key}=${printable(value)}`);
  printLines(session, [...lines, ...(labels.length > 0 ? [`Labels: ${labels.join(', ')}`] : [])]);
  return EXIT.ok;
}

function showStep(session: Session, snapshot: BuildSnapshot, name: string): number {
  const step = new BuildModel(snapshot).step(name);
  if (step === undefined) {
    throw stepUnknown(
      name,
      snapshot.steps.map((candidate) => candidate.name),
    );
  }
  if (session.json) printJson(session, { step: snapshot.steps.find((candidate) => candidate.name === name) });
  else printLines(session, stepLines(step, session));
  return EXIT.ok;
}

function missingText(path: string): string {
  const literal = looksLikePattern(path) ? '; outputs are literal paths, not patterns' : '';
  return `was not there after the run${literal}`;
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
    ...(step.missingOutputs ?? []).map((path) => `output     ${printable(path)}: ${style.warn(missingText(path))}`),
    ...(step.dependencyCaches ?? []).flatMap((cache) => dependencyLines(cache, style)),
  ];
}

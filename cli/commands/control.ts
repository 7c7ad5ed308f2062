import { EXIT } from '../exit.ts';
import { openServer, printJson, printLines, resolveBuild, say, type Session } from '../session.ts';
import { isFault } from '../../base/fault.ts';
import type { ExplanationView } from '../build-view.ts';
import type { BuildServer } from '../rpc/client.ts';
import { aboutStep } from '../step-name.ts';
import { printable, type Style } from '../view/format.ts';

/** Cancels a build or one of its steps. */
export async function cancelCommand(
  session: Session,
  buildText: string,
  step: string | undefined,
  options: { readonly reason: string },
): Promise<number> {
  using server = await openServer(session);
  const build = await resolveBuild(server, buildText, session.signal);
  const what = step === undefined ? undefined : { step };
  const before = await server.snapshot(build, session.signal);
  const ended = step === undefined ? before.build : before.steps.find(({ name }) => name === step);
  await aboutStep(server, build, step ?? '', session.signal, () => server.cancel(build, step ?? '', options.reason, session.signal));
  const verdict = ended?.phase === 'ended' ? ended.verdict : undefined;
  if (session.json) printJson(session, { build, ...what, cancelled: verdict === undefined, ...(verdict === undefined ? {} : { verdict }) });
  else if (verdict !== undefined) say(session, `${step === undefined ? build : `${step} of ${build}`} had ended already: ${verdict}`);
  else say(session, `Cancelling ${step === undefined ? build : `${step} of ${build}`}`);
  return EXIT.ok;
}

/** Runs a step again that ended without success. */
export async function retryCommand(session: Session, buildText: string, step: string): Promise<number> {
  using server = await openServer(session);
  const build = await resolveBuild(server, buildText, session.signal);
  await aboutStep(server, build, step, session.signal, () => server.retry(build, step, session.signal));
  if (session.json) printJson(session, { build, step, retried: true });
  else say(session, `${step} of ${build} runs again; follow it with "switchyard watch ${build}"`);
  return EXIT.ok;
}

/** Says why a step is where it is. */
export async function explainCommand(session: Session, buildText: string, step: string): Promise<number> {
  using server = await openServer(session);
  const build = await resolveBuild(server, buildText, session.signal);
  const found = await aboutStep(server, build, step, session.signal, () => server.explain(build, step, session.signal));
  if (session.json) {
    printJson(session, found);
    return EXIT.ok;
  }
  printLines(session, explanationLines(found, session.style));
  const leader = found.phase === 'merged' ? await leaderOf(session, server, build, step) : undefined;
  if (leader !== undefined)
    printLines(session, ['', session.style.bold(`About ${leader.name}`), ...explanationLines(leader.found, session.style)]);
  return EXIT.ok;
}

/** What is known about the step whose result a merged step will take; undefined where the caller may not see it. */
async function leaderOf(session: Session, server: BuildServer, build: string, step: string) {
  const { steps } = await server.snapshot(build, session.signal);
  const name = steps.find((candidate) => candidate.name === step)?.mergedInto;
  const slash = name?.indexOf('/') ?? -1;
  if (name === undefined || slash < 0) return undefined;
  try {
    return { name, found: await server.explain(name.slice(0, slash), name.slice(slash + 1), session.signal) };
  } catch (error) {
    if (isFault(error)) return undefined;
    throw error;
  }
}

function explanationLines(found: ExplanationView, style: Style): readonly string[] {
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', style.bold(title), ...lines.map((line) => `  ${line}`)];
  return [
    printable(found.summary),
    ...section('Waiting', [
      ...found.reasons.map(printable),
      ...(found.queuePosition > 0 ? [`${found.queuePosition} before it in its queue`] : []),
    ]),
    ...section(
      'Nearest agents',
      found.nearest.map(
        ({ agent, lacks }) => `${agent}: ${lacks.length === 0 ? 'fits, and is busy' : `lacks ${lacks.map(printable).join('; ')}`}`,
      ),
    ),
    ...section(
      'Placement',
      found.placement.map(({ term, score, why }) => `${score.toFixed(2).padStart(7)}  ${term}: ${printable(why)}`),
    ),
    ...section('Cache', found.cache.map(printable)),
    ...section('Dependency caches', found.dependencyCaches.map(printable)),
  ];
}

import { EXIT } from '../exit.ts';
import { openServer, printJson, printLines, resolveBuild, say, type Session } from '../session.ts';
import { printable } from '../view/format.ts';

/** Cancels a build or one of its steps. */
export async function cancelCommand(
  session: Session,
  buildText: string,
  step: string | undefined,
  options: { readonly reason: string },
): Promise<number> {
  using server = await openServer(session);
  const build = await resolveBuild(server, buildText, session.signal);
  await server.cancel(build, step ?? '', options.reason, session.signal);
  if (session.json) printJson(session, { build, step, cancelled: true });
  else say(session, `Cancelling ${step === undefined ? build : `${step} of ${build}`}`);
  return EXIT.ok;
}

/** Runs a step again that ended without success. */
export async function retryCommand(session: Session, buildText: string, step: string): Promise<number> {
  using server = await openServer(session);
  const build = await resolveBuild(server, buildText, session.signal);
  await server.retry(build, step, session.signal);
  if (session.json) printJson(session, { build, step, retried: true });
  else say(session, `${step} of ${build} runs again; follow it with "switchyard watch ${build}"`);
  return EXIT.ok;
}

/** Says why a step is where it is. */
export async function explainCommand(session: Session, buildText: string, step: string): Promise<number> {
  using server = await openServer(session);
  const build = await resolveBuild(server, buildText, session.signal);
  const found = await server.explain(build, step, session.signal);
  if (session.json) {
    printJson(session, found);
    return EXIT.ok;
  }
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', session.style.bold(title), ...lines.map((line) => `  ${line}`)];
  printLines(session, [
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
  ]);
  return EXIT.ok;
}

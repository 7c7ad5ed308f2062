import type { BuildPhase, BuildVerdict, BuildView } from '../build-view.ts';
import { serverClock } from '../server-clock.ts';
import { openServer, printJson, printLines, type Session } from '../session.ts';
import { columns, formatTime, printable } from '../view/format.ts';
import { EXIT } from '../exit.ts';

export type BuildsOptions = {
  readonly label: readonly (readonly [string, string])[];
  readonly running?: boolean;
  readonly verdict?: BuildVerdict;
  readonly limit: number;
};

/** Lists builds, newest first. */
export async function buildsCommand(session: Session, options: BuildsOptions): Promise<number> {
  using server = await openServer(session);
  const phase: BuildPhase | undefined = options.running === true ? 'running' : undefined;
  const filter = { labels: Object.fromEntries(options.label), phase, verdict: options.verdict, limit: options.limit };
  const builds = await server.list(filter, session.signal);
  if (session.json) printJson(session, { builds });
  else {
    const { now } = await serverClock(server, session.terminal.clock, session.signal);
    printLines(session, builds.length === 0 ? ['No builds.'] : buildTable(builds, now(), session));
  }
  return EXIT.ok;
}

function buildTable(builds: readonly BuildView[], nowMs: number, { style }: Session): readonly string[] {
  const [head = '', ...rows] = columns([
    ['BUILD', 'NAME', 'RESULT', 'STEPS', 'CACHED', 'TIME', 'STARTED', 'BY'],
    ...builds.map((build) => [
      build.id,
      printable(build.name),
      build.verdict ?? build.phase,
      `${build.stepsEnded}/${build.stepsTotal}`,
      String(build.stepsFromCache),
      formatTime((build.endedAtMs ?? nowMs) - build.acceptedAtMs),
      `${formatTime(nowMs - build.acceptedAtMs)} ago`,
      printable(build.submittedBy),
    ]),
  ]);
  return [style.bold(head), ...rows];
}

import { EXIT } from '../exit.ts';
import { printJson, printLines, type Session } from '../session.ts';
import { doctorChecks } from '../doctor/checks.ts';

export type Finding = {
  readonly check: string;
  /** `warn` works, but not as well as it could. */
  readonly result: 'ok' | 'warn' | 'bad';
  readonly found: string;
  readonly fix: string | undefined;
};

/** Looks at host and server, and says how to put right what is wrong. */
export async function doctorCommand(session: Session): Promise<number> {
  const findings = await doctorChecks(session);
  if (session.json) printJson(session, { findings });
  else
    printLines(
      session,
      findings.flatMap((finding) => findingLines(finding, session)),
    );
  return findings.some((finding) => finding.result === 'bad') ? EXIT.failed : EXIT.ok;
}

function findingLines({ check, result, found, fix }: Finding, { style }: Session): readonly string[] {
  const sign = { ok: style.good('ok  '), warn: style.warn('warn'), bad: style.bad('bad ') }[result];
  return [`${sign}  ${check}: ${found}`, ...(fix === undefined || result === 'ok' ? [] : [`      fix: ${fix}`])];
}

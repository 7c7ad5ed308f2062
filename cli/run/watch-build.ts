import type { BuildEvent, BuildVerdict } from '../build-view.ts';
import { logTail } from '../commands/logs.ts';
import type { Clock } from '../../base/clock.ts';
import { isFault } from '../../base/fault.ts';
import { EXIT } from '../exit.ts';
import { follow } from '../follow.ts';
import type { BuildServer } from '../rpc/client.ts';
import { serverClockSoon } from '../server-clock.ts';
import { plainReason, printLines, say, type Session } from '../session.ts';
import { wantsColor, wantsLiveView } from '../terminal.ts';
import { sizeOf } from '../../cache/digest.ts';
import { printableLog } from '../view/format.ts';
import { BuildModel } from '../view/model.ts';
import { jsonProgress, liveProgress, plainProgress, type Progress } from '../view/progress.ts';
import { criticalPath } from '../view/critical-path.ts';
import { summary, totalsOf, type UploadCount } from '../view/summary.ts';
import { explainWaiting } from './explain-waiting.ts';

export type WatchOptions = {
  /** Whether Ctrl-C cancels the build; else it only ends the watching. */
  readonly cancelOnInterrupt: boolean;
  readonly upload: UploadCount | undefined;
  /** Lines of the log of a failed step to show. */
  readonly tailLines: number;
  /** What to do before the logs can be asked for once we have ended; '' for nothing. */
  readonly logsAfter: string;
};

/** How long a server may be away before we give up following; the build goes on without us. */
const PATIENCE_MS = 120_000;

/** Shows a build until it ends. The exit code says how; `detached` is set where the user left it running. */
export async function watchBuild(
  session: Session,
  server: BuildServer,
  build: string,
  options: WatchOptions,
): Promise<{ readonly code: number; readonly detached: boolean; readonly model: BuildModel | undefined }> {
  const leaving = new AbortController();
  const clock = serverClockSoon(server, session.terminal.clock, leaving.signal);
  using progress = progressFor(session, clock, options.upload);
  using _voice = speakThrough(session, progress);
  const cancel = { asked: false };
  using _interrupts = interrupts(session, server, build, { ...options, cancel }, progress, leaving);
  let model: BuildModel | undefined;
  try {
    const followOptions = { clock: session.terminal.clock, prng: session.prng, patienceMs: PATIENCE_MS };
    using waiting = explainWaiting(server, build, clock, (name, why) => {
      if (model === undefined || model.step(name)?.waiting === why) return;
      model.explain(name, why);
      progress.waits(name, why);
    });
    for await (const followed of follow(server, build, followOptions, leaving.signal)) {
      if (followed.kind === 'snapshot') {
        if (model === undefined) model = new BuildModel(followed.snapshot);
        else model.replace(followed.snapshot);
      }
      if (model === undefined) continue; // nothing to show before the first snapshot
      if (followed.kind === 'event') model.apply(followed.event);
      waiting.look(model);
      progress.show(followed, model);
      if (followed.kind === 'event') await showTail(session, server, build, followed.event, options, progress, leaving.signal);
    }
  } catch (error) {
    if (!leaving.signal.aborted) {
      progress[Symbol.dispose]();
      session.voice.picture = undefined;
      say(session, reattachText(build));
      throw error;
    }
  }
  progress[Symbol.dispose]();
  session.voice.picture = undefined;
  if (leaving.signal.aborted) {
    say(session, `${cancel.asked ? 'Not waiting for its end' : 'Left running'}. ${reattachText(build)}`);
    return { code: EXIT.cancelled, detached: true, model };
  }
  if (model !== undefined) printEnd(session, model, options);
  return { code: codeOf(model?.build.verdict), detached: false, model };
}

export function reattachText(build: string): string {
  return `Come back with "switchyard watch ${build}", "switchyard show ${build}" or "switchyard logs -f ${build} STEP".`;
}

function progressFor(session: Session, clock: Clock, upload: UploadCount | undefined): Progress {
  const { stdout, env } = session.terminal;
  if (session.json) return jsonProgress(stdout);
  return wantsLiveView(stdout, env) ? liveProgress(stdout, session.style, clock, upload) : plainProgress(stdout, session.style);
}

/** What is said meanwhile must not get between the lines of a picture. */
function speakThrough(session: Session, progress: Progress): Disposable {
  const { stdout, env } = session.terminal;
  if (!session.json && wantsLiveView(stdout, env)) session.voice.picture = (text) => progress.say(text.split('\n'));
  return { [Symbol.dispose]: () => (session.voice.picture = undefined) };
}

/** First Ctrl-C: cancel in good order; second: leave at once. */
function interrupts(
  session: Session,
  server: BuildServer,
  build: string,
  { cancelOnInterrupt, cancel }: WatchOptions & { readonly cancel: { asked: boolean } },
  progress: Progress,
  leaving: AbortController,
): Disposable {
  return session.terminal.onInterrupt(() => {
    if (cancel.asked || !cancelOnInterrupt) return leaving.abort();
    cancel.asked = true;
    progress.notice('Cancelling the build; Ctrl-C again leaves it to itself');
    server.cancel(build, '', 'interrupted at the command line', leaving.signal).catch((error: unknown) => {
      const why = isFault(error) ? plainReason(error) : String(error);
      if (!leaving.signal.aborted) progress.notice(`The build could not be cancelled: ${why}. Ctrl-C again leaves it running`);
    });
  });
}

/** The end of a failed step's log, under its line. */
async function showTail(
  session: Session,
  server: BuildServer,
  build: string,
  event: BuildEvent,
  options: WatchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  if (
    event.kind !== 'step-ended' ||
    (event.verdict !== 'failed' && event.verdict !== 'timed-out') ||
    options.tailLines === 0 ||
    session.json
  )
    return;
  const log = event.result?.log;
  try {
    const lines = await logTail(
      server,
      { build, step: event.step, sizeBytes: log === undefined ? undefined : sizeOf(log.digest) },
      options.tailLines,
      signal,
    );
    if (lines.length === 0) return;
    const bar = session.style.dim('│');
    const color = wantsColor(session.terminal.stdout, session.terminal.env);
    const shown = lines.map((line) => `${bar} ${printableLog(line, color)}`);
    progress.say([session.style.bad(`✗ ${event.step}: the end of its log`), ...shown]);
  } catch {
    // The log is a courtesy here; "switchyard logs" says what is wrong with it.
  }
}

function printEnd(session: Session, model: BuildModel, { upload, logsAfter }: WatchOptions): void {
  const { build, steps } = model;
  if (!session.json) {
    const failed = steps.find((step) => step.verdict === 'failed' || step.verdict === 'timed-out');
    const logs =
      failed === undefined || failed.attempt === 0
        ? []
        : [`Whole logs: ${logsAfter}"switchyard logs ${build.id} ${shellWord(failed.name)}"`];
    return printLines(session, ['', ...summary(model, upload, session.style), ...logs]);
  }
  const end = {
    kind: 'summary',
    build: build.id,
    verdict: build.verdict,
    totals: totalsOf(steps, upload),
    criticalPath: criticalPath(steps),
  };
  session.terminal.stdout.write(`${JSON.stringify(end)}\n`);
}

/** A step's name as one word for a shell: those of a matrix have brackets and commas. */
function shellWord(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : `'${name}'`;
}

function codeOf(verdict: BuildVerdict | undefined): number {
  if (verdict === 'succeeded') return EXIT.ok;
  return verdict === 'cancelled' ? EXIT.cancelled : EXIT.failed;
}

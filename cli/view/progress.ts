import type { Clock } from '../../base/clock.ts';
import type { Followed } from '../follow.ts';
import type { Output } from '../terminal.ts';
import { frame } from './frame.ts';
import type { UploadCount } from './summary.ts';
import { printable, type Style } from './format.ts';
import { linesOf } from './lines.ts';
import type { BuildModel } from './model.ts';
import { displayWidth } from './width.ts';

/** Where a build is shown while it runs. */
export interface Progress extends Disposable {
  /** `followed` has happened; `model` knows. */
  show(followed: Followed, model: BuildModel): void;
  /** The server has said why a step waits. */
  waits(step: string, why: string): void;
  /** Lines that stay, such as the end of a failed step's log. */
  say(lines: readonly string[]): void;
  /** A line that belongs to the moment, such as "cancelling"; '' takes it away. */
  notice(text: string): void;
}

/** A line per event, for logs and pipes. */
export function plainProgress(output: Output, style: Style): Progress {
  const say = (lines: readonly string[]) => {
    for (const line of lines) output.write(`${line}\n`);
  };
  const told = new Map<string, string>();
  let lost: string | undefined;
  return {
    show(followed, model) {
      const reason = followed.kind === 'lost' ? followed.reason : undefined;
      // It is tried every few seconds: only another reason is news.
      if (reason === undefined || reason !== lost) say(linesOf(followed, model, style));
      lost = reason;
    },
    waits(step, why) {
      // The time that is left changes all the time: only another reason is news.
      const reason = why.replaceAll(/\d+/g, '#');
      if (told.get(step) === reason) return;
      told.set(step, reason);
      say([style.dim(`         ${step}  waits: ${printable(why)}`)]);
    },
    say,
    notice: (text) => (text === '' ? undefined : say([style.warn(text)])),
    [Symbol.dispose]: () => {},
  };
}

/** One JSON object per event: `{"kind":"snapshot",…}`, `{"kind":"event",…}`, `{"kind":"lost",…}`, `{"kind":"waits",…}`. */
export function jsonProgress(output: Output): Progress {
  return {
    show: (followed) => {
      if (followed.kind !== 'event' || followed.event.kind !== 'nothing') output.write(`${JSON.stringify(followed)}\n`);
    },
    waits: (step, why) => void output.write(`${JSON.stringify({ kind: 'waits', step, why })}\n`),
    say: () => {},
    notice: () => {},
    [Symbol.dispose]: () => {},
  };
}

/** Time between two pictures. */
const FRAME_MS = 100;

/** A picture that is drawn over and over, for terminals. */
export function liveProgress(output: Output, style: Style, clock: Clock, upload: UploadCount | undefined): Progress {
  let drawn: readonly number[] = [];
  let current: BuildModel | undefined;
  let notice = '';
  // Typed characters and ^C move the cursor within its line; a terminal made narrower wraps what was drawn.
  const back = () => {
    const columns = Math.max(1, output.columns ?? 80);
    const rows = drawn.reduce((total, width) => total + Math.max(1, Math.ceil(width / columns)), 0);
    return rows === 0 ? '\r' : `\r\u001b[${rows}A`;
  };
  const draw = (above: readonly string[]) => {
    const size = { columns: Math.max(20, output.columns ?? 80), rows: output.rows ?? 24 };
    const lines = current === undefined ? [] : frame(current, clock.now(), size, style, { notice, upload });
    // Each line is overwritten and its rest cleared: clearing everything first would flicker.
    output.write(`${back()}${[...above, ...lines].map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`);
    drawn = lines.map(displayWidth);
  };
  const timer = setInterval(() => draw([]), FRAME_MS);
  return {
    show(followed, model) {
      current = model;
      if (followed.kind === 'lost') notice = 'connection lost, trying again: the build goes on meanwhile';
      if (followed.kind === 'back') notice = '';
    },
    waits: () => {}, // the next picture shows it
    say: draw,
    notice(text) {
      notice = text;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      output.write(`${back()}\u001b[J`);
      drawn = [];
    },
  };
}

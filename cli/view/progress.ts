import type { Clock } from '../../base/clock.ts';
import type { Followed } from '../follow.ts';
import type { Output } from '../terminal.ts';
import { frame } from './frame.ts';
import { printable, type Style } from './format.ts';
import { linesOf } from './lines.ts';
import type { BuildModel } from './model.ts';

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
  return {
    show: (followed, model) => say(linesOf(followed, model, style)),
    waits: (step, why) => say([style.dim(`         ${step}  waits: ${printable(why)}`)]),
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
export function liveProgress(output: Output, style: Style, clock: Clock): Progress {
  let drawn = 0;
  let current: BuildModel | undefined;
  let notice = '';
  const erase = () => (drawn === 0 ? '' : `\u001b[${drawn}A\u001b[0J`);
  const draw = (above: readonly string[]) => {
    const size = { columns: Math.max(20, output.columns ?? 80), rows: output.rows ?? 24 };
    const lines = current === undefined ? [] : frame(current, clock.now(), size, style, notice);
    output.write(erase() + [...above, ...lines].map((line) => `${line}\n`).join(''));
    drawn = lines.length;
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
      output.write(erase());
      drawn = 0;
    },
  };
}

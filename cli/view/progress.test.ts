import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { BuildSnapshot } from '../build-view.ts';
import type { Output } from '../terminal.ts';
import { styleFor } from './format.ts';
import { BuildModel } from './model.ts';
import { liveProgress, plainProgress } from './progress.ts';

const SNAPSHOT: BuildSnapshot = {
  build: {
    id: 'b-01m81srr4v387mdjafdy0bwaq4',
    name: 'demo',
    project: 'local',
    phase: 'running',
    verdict: undefined,
    labels: {},
    submittedBy: 'local',
    acceptedAtMs: 0,
    endedAtMs: undefined,
    stepsTotal: 0,
    stepsEnded: 0,
    stepsFromCache: 0,
    degraded: [],
  },
  steps: [],
  cursor: 'i:0',
};

class Screen implements Output {
  readonly isTTY = true;
  readonly rows = 20;
  columns = 80;
  readonly written: string[] = [];

  write(data: string | Uint8Array): boolean {
    this.written.push(String(data));
    return true;
  }

  async drained(): Promise<void> {}

  /** What was written since the last time. */
  take(): string {
    return this.written.splice(0).join('');
  }
}

test('a picture replaces the one before from its first column, also after typed characters and on a narrower terminal', () => {
  const screen = new Screen();
  using progress = liveProgress(screen, styleFor(false), systemClock, undefined);
  progress.show({ kind: 'snapshot', snapshot: SNAPSHOT }, new BuildModel(SNAPSHOT));
  progress.say([]);
  screen.take();
  progress.say(['a line that stays']);
  expect(screen.take()).toMatch(/^\r\u001b\[1Aa line that stays\u001b\[K\ndemo .*\u001b\[K\n\u001b\[J$/);
  screen.columns = 20; // the line of 54 columns takes three rows now
  progress.say([]);
  expect(screen.take()).toMatch(/^\r\u001b\[3Ademo/);
});

test('plain lines say another reason to wait, not another count-down', () => {
  const screen = new Screen();
  const progress = plainProgress(screen, styleFor(false));
  for (const why of ['it is tried again in 9s', 'it is tried again in 7s', 'all 3 agents are busy', 'all 2 agents are busy'])
    progress.waits('test', why);
  expect(screen.take()).toBe('         test  waits: it is tried again in 9s\n         test  waits: all 3 agents are busy\n');
});

test('a log of lines says once why the connection is lost, and says it anew after it was back', () => {
  const screen = new Screen();
  using progress = plainProgress(screen, styleFor(false));
  const model = new BuildModel(SNAPSHOT);
  for (const reason of ['away', 'away', 'refused', 'refused']) progress.show({ kind: 'lost', reason, retryInMs: 100 }, model);
  progress.show({ kind: 'back' }, model);
  progress.show({ kind: 'lost', reason: 'refused', retryInMs: 100 }, model);
  const said = screen
    .take()
    .split('\n')
    .map((line) => line.split(',')[0]);
  expect(said).toEqual(['Connection lost (away)', 'Connection lost (refused)', 'Connected again', 'Connection lost (refused)', '']);
});

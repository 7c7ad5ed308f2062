import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../../fixtures/root.ts';
import { startNode } from '../../fixtures/run-process.ts';
import { until } from '../../fixtures/until.ts';
import { startStage } from './stage.ts';

const COUNT = 256;
/** The first wait after a break is drawn from this window; later ones from larger ones. */
const WINDOW_MS = 200;

type Line = { readonly kind: 'dial' | 'registered'; readonly agent: string; readonly atMs: number };

test('256 agents whose coordinator dies dial again spread over time, and all are back once it is', async () => {
  await using stage = await startStage({ coordinatorArgs: ['--lease-ttl', '30s', '--heartbeat', '10s'] });
  const token = readFileSync(stage.path('coordinator/agent-token'), 'utf8').trim();
  await using fleet = startNode([join(ROOT, 'test/e2e/protocol/fleet-main.ts'), stage.yard.address, token, String(COUNT)]);
  const lines = (): readonly Line[] =>
    fleet
      .stdout()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line); // as fleet-main.ts prints them
  const registrations = () => lines().filter(({ kind }) => kind === 'registered');
  await until('all are registered', () => registrations().length >= COUNT);
  const before = lines().length;
  await stage.yard.killCoordinator(async () => {
    await until('each has dialled in vain', () => lines().slice(before).length >= 3 * COUNT);
  });
  const back = () =>
    new Set(
      lines()
        .slice(before)
        .flatMap(({ kind, agent }) => (kind === 'registered' ? [agent] : [])),
    );
  await until('all are back', () => back().size === COUNT);
  const dials = lines()
    .slice(before)
    .filter(({ kind }) => kind === 'dial');
  const first = [...Map.groupBy(dials, ({ agent }) => agent).values()].map(([dial]) => dial?.atMs ?? 0).toSorted((a, b) => a - b);
  expect(first).toHaveLength(COUNT);
  // Drawn evenly, the quarters of the dials are quarters of the window apart; a busy host can only stretch that.
  const spread = (from: number, to: number) => (first[Math.floor(to * (COUNT - 1))] ?? 0) - (first[Math.floor(from * (COUNT - 1))] ?? 0);
  expect(spread(0.1, 0.9)).toBeGreaterThan(WINDOW_MS * 0.5);
  for (const [from, to] of [
    [0, 0.5],
    [0.5, 1],
  ] as const)
    expect(spread(from, to)).toBeGreaterThan(WINDOW_MS * 0.2);
  // The agents that are away do not hammer: the waits between rounds grow to two seconds.
  const last = [...Map.groupBy(dials, ({ agent }) => agent).values()].map((own) => own.length);
  expect(Math.max(...last)).toBeLessThan(60);
  expect((await stage.yard.server.agents(new AbortController().signal)).agents.filter(({ connected }) => connected)).toHaveLength(COUNT);
});

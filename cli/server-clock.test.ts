import { expect, test } from 'vitest';
import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { until } from '../test/fixtures/until.ts';
import type { ServerView } from './build-view.ts';
import { serverClock, serverClockSoon } from './server-clock.ts';

const { signal } = new AbortController();
const HOUR_MS = 3_600_000;

function serverAt(nowMs: number | undefined): { server(): Promise<ServerView> } {
  const caller = { project: '', scope: '', role: 'admin', zoneCeiling: 'trusted' } as const;
  const view = { version: '1', dataAddress: '', instanceName: '', leader: '', ...caller };
  return { server: async () => ({ ...view, nowMs }) };
}

function hostAt(nowMs: number): Clock & { pass(ms: number): void } {
  let monotonic = 7.5;
  return { now: () => nowMs + monotonic, monotonic: () => monotonic, pass: (ms) => (monotonic += ms) };
}

test("the server's time goes on by this host's monotonic clock", async () => {
  const host = hostAt(HOUR_MS);
  const clock = await serverClock(serverAt(50 * HOUR_MS), host, signal);
  expect(clock.now()).toBe(50 * HOUR_MS);
  host.pass(250);
  expect(clock.now()).toBe(50 * HOUR_MS + 250);
});

test("a server that does not say its time has this host's", async () => {
  const clock = await serverClock(serverAt(undefined), hostAt(HOUR_MS), signal);
  expect(clock.now()).toBe(HOUR_MS + 7.5);
});

test("the time is this host's until the server answers, and where it never does", async () => {
  const clock = serverClockSoon(serverAt(50 * HOUR_MS), hostAt(HOUR_MS), signal);
  expect(clock.now()).toBe(HOUR_MS + 7.5);
  await until('the server has answered', () => clock.now() === 50 * HOUR_MS);
  const away = { server: () => Promise.reject(new Fault('PEER_UNAVAILABLE', 'away')) };
  expect(serverClockSoon(away, hostAt(HOUR_MS), signal).now()).toBe(HOUR_MS + 7.5);
  await expect(serverClock(away, hostAt(HOUR_MS), signal)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
});

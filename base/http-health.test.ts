import { expect, test } from 'vitest';
import { memoryLogger, silentLogger } from './log.ts';
import { json, serveHttpHealth } from './http-health.ts';
import { watchLoopLag } from './loop-lag.ts';

const routes = {
  '/readyz': () => json(503, { ready: false, checks: [] }),
  '/broken': () => {
    throw new Error('a secret of ours');
  },
};

test('each path has its answer; other paths and methods are told what there is', async () => {
  await using server = await serveHttpHealth({ listen: '127.0.0.1:0', routes, log: silentLogger });
  const get = (path: string, init = {}) => fetch(`http://${server.address}${path}`, init);
  const ready = await get('/readyz?verbose');
  expect(ready.status).toBe(503);
  expect(ready.headers.get('content-type')).toBe('application/json');
  expect(await ready.json()).toEqual({ ready: false, checks: [] });
  const unknown = await get('/constructor');
  expect([unknown.status, await unknown.text()]).toEqual([404, 'Nothing is here; there is /readyz, /broken\n']);
  expect((await get('/readyz', { method: 'POST', body: 'x' })).status).toBe(405);
  expect(await (await get('/readyz', { method: 'HEAD' })).text()).toBe('');
});

test('a handler that throws is logged, and answered without what it said', async () => {
  const log = memoryLogger();
  await using server = await serveHttpHealth({ listen: '127.0.0.1:0', routes, log });
  const answer = await fetch(`http://${server.address}/broken`);
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain('secret');
  expect(log.entries.map((entry) => entry.event)).toEqual(['http-answer-failed']);
});

test('an address that cannot be bound is refused by name', async () => {
  await using taken = await serveHttpHealth({ listen: '127.0.0.1:0', routes, log: silentLogger });
  await expect(serveHttpHealth({ listen: taken.address, routes, log: silentLogger })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    field: 'metricsListen',
  });
});

test('a loop that is held up shows its lag while it lasts, and for a while after', () => {
  let time = 0;
  using lag = watchLoopLag({ clock: { now: () => time, monotonic: () => time }, everyMs: 500, windowMs: 10_000 });
  expect(lag.lagMs()).toBe(0);
  time = 3_500;
  expect(lag.lagMs()).toBe(3_000);
});

import { expect, test } from 'vitest';
import { identitySoak } from '../bench/identity-soak.ts';

test('certificates of 10 s and a rotated authority fail no step and end no stream', { timeout: 600_000 }, async () => {
  const plan = { agents: 3, lifeMs: 10_000, rotateAtMs: 3_000, exchangeAtMs: 28_000, retireAtMs: 38_000, endAtMs: 50_000 };
  const report = await identitySoak(plan);
  expect(report, JSON.stringify(report)).toMatchObject({ failedSteps: 0, droppedStreams: 0 });
  expect(report.complaints).toEqual({});
  expect(report.steps).toBeGreaterThan(3);
  expect(report.renewals).toBeGreaterThan(report.renewalsAfter); // before the old authority went
  expect(report.renewalsAfter).toBeGreaterThan(0); // and after
});

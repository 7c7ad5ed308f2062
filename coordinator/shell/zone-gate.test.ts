import { expect, test } from 'vitest';
import type { AuditNote, AuditSink } from '../../base/audit.ts';
import { memoryLogger } from '../../base/log.ts';
import { ZONES } from '../../base/zone.ts';
import { parseFloors } from '../../cache/quotas.ts';
import { Stage, stepId } from '../../test/scenarios/stage.ts';
import { zoneGate } from './zone-gate.ts';

test.for(ZONES)('what an agent in the zone %s made is kept where scope and step ask for no more', (zone) => {
  const log = memoryLogger();
  const stage = new Stage();
  stage.agent('a1', { labels: { zone } });
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  stage.run('b1/x');
  const notes: AuditNote[] = [];
  const audit: AuditSink = { note: (note) => void notes.push(note) };
  const gateOf = (floor: string) => zoneGate({ core: stage.scheduler, floorOf: parseFloors([`p/main=${floor}`]), log, audit });
  const kept = ZONES.map((floor) => gateOf(floor)(stepId('b1/x')));
  expect(kept).toEqual(ZONES.map((floor) => ZONES.indexOf(zone) >= ZONES.indexOf(floor)));
  expect(log.entries.filter(({ event }) => event === 'result-of-low-zone')).toHaveLength(kept.filter((one) => !one).length);
  const refused = { act: 'trust', outcome: 'refused', actor: 'a1', subject: stepId('b1/x'), detail: expect.stringContaining(zone) };
  expect(notes).toEqual(kept.filter((one) => !one).map(() => expect.objectContaining(refused)));
});

test('an agent whose zone was lowered while it ran has nothing kept that asked for more', () => {
  const stage = new Stage();
  stage.agent('a1', { labels: { zone: 'trusted' } });
  stage.submit('b1', [{ name: 'x', zone: 'trusted' }]);
  stage.ready('b1/x');
  const held = [{ token: stage.token('b1/x'), phase: { kind: 'started' } as const }];
  stage.agent('a1', { labels: { zone: 'untrusted' }, held });
  stage.run('b1/x');
  const gate = zoneGate({ core: stage.scheduler, floorOf: () => undefined, log: memoryLogger() });
  expect(gate(stepId('b1/x'))).toBe(false);
});

test('a step that is gone, or that nobody ran, has nothing to keep', () => {
  const stage = new Stage();
  stage.submit('b1', [{ name: 'x' }]);
  const gate = zoneGate({ core: stage.scheduler, floorOf: () => undefined, log: memoryLogger() });
  expect([gate(stepId('b1/x')), gate(stepId('b2/x'))]).toEqual([false, false]);
});

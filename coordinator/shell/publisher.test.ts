import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { openBreaker } from '../../base/breaker.ts';
import { Fault } from '../../base/fault.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import type { ActionResults } from '../../cache/rpc/client.ts';
import { digestOf } from '../../cache/digest.ts';
import { RESULT, stepId } from '../../test/scenarios/stage.ts';
import { until } from '../../test/fixtures/until.ts';
import { openPublisher } from './publisher.ts';

const step = stepId('b1/one');
const publication = { step, action: digestOf(Buffer.from('an action')), result: RESULT, again: false };

/** Results that are kept behind a breaker, on a store that is down for its first `faults` calls. */
function storeThatIsDown(faults: number) {
  const rules = { faultsInRow: 2, openMs: { initial: 200, max: 200 } };
  const breaker = openBreaker({ dependency: 'store', code: 'STORE_UNAVAILABLE', clock: systemClock, prng: prngFrom(1), rules });
  let calls = 0;
  const put: ActionResults['put'] = () =>
    breaker.run(async () => {
      calls += 1;
      if (calls <= faults) throw new Fault('STORE_UNAVAILABLE', 'connection refused');
    });
  const actions: ActionResults = { put, get: () => Promise.resolve(undefined) };
  return { actions, breaker, calls: () => calls };
}

test('a result waits while the breaker of the store is open, and is written once the store is back', async () => {
  const store = storeThatIsDown(3);
  const log = memoryLogger();
  await using publisher = openPublisher({ actionsOf: () => store.actions, log });
  publisher.publish(publication);
  await until('the breaker is open', () => store.breaker.view().kind === 'open');
  expect(publisher.counts.failed).toBe(0);
  expect(publisher.waiting).toBe(1);
  await until('it is written', () => publisher.counts.written === 1);
  expect(publisher.counts).toEqual({ written: 1, failed: 0, dropped: 0 });
  expect(store.calls(), 'two opened the breaker, one probe failed, one passed').toBe(4);
  expect(log.entries).toEqual([]);
});

test('each is told once what became of it: put off beyond those that may wait, refused where no waiting helps', async () => {
  const gate = Promise.withResolvers<void>();
  const put: ActionResults['put'] = (of) =>
    of === publication.action ? gate.promise : Promise.reject(new Fault('BLOB_UNKNOWN', 'its blobs are not there'));
  const log = memoryLogger();
  await using publisher = openPublisher({ actionsOf: () => ({ put }), log, waitingMax: 1 });
  const ends: string[] = [];
  const refused = { ...publication, action: digestOf(Buffer.from('another')) };
  for (let count = 0; count < 16; count += 1) publisher.publish(publication, (end) => ends.push(end));
  publisher.publish(refused, (end) => ends.push(`waited, ${end}`));
  publisher.publish(publication, (end) => ends.push(`more, ${end}`));
  await until('one is put off', () => ends.length === 1);
  gate.resolve();
  await until('all have ended', () => ends.length === 18);
  expect(ends.filter((end) => end !== 'written').toSorted()).toEqual(['more, put-off', 'waited, refused']);
  expect(publisher.counts).toEqual({ written: 16, failed: 1, dropped: 1 });
  expect(log.entries.map(({ event }) => event)).toEqual(['result-dropped', 'result-not-published']);
});

test('a result whose time is over is given up, which costs a later miss and is logged', async () => {
  const store = storeThatIsDown(Number.POSITIVE_INFINITY);
  const log = memoryLogger();
  await using publisher = openPublisher({ actionsOf: () => store.actions, log, deadlineMs: 500 });
  const ends: string[] = [];
  publisher.publish(publication, (end) => ends.push(end));
  await until('it is given up', () => publisher.counts.failed === 1);
  expect(publisher.waiting).toBe(0);
  await until('it is told', () => ends.length === 1);
  expect(ends).toEqual(['put-off']);
  expect(JSON.stringify(log.entries)).toContain('result-not-published');
});

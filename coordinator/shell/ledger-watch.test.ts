import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { parseBuildId } from '../core/ids.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { openHintFeed } from './hint-feed.ts';
import { watchLedger } from './ledger-watch.ts';

const BUILD = present(parseBuildId(`b-${'1'.repeat(26)}`), 'a valid id');

test('a follower says at once that a watch is there which goes on from a cursor after which nothing happened', async () => {
  const ledger = openMemoryLedger();
  const stop = new AbortController();
  const term = present(await ledger.lead({ id: 'test', address: '' }, 60_000, stop.signal), 'nobody else leads');
  await ledger.commit(term, [{ kind: 'event', build: BUILD, event: { seq: 1, at: 1, kind: 'step-ready', step: 'x' } }], stop.signal);
  await using hints = openHintFeed(ledger, silentLogger);
  const options = { ledger, hints, signOfLifeMs: 60_000, clock: systemClock };
  const items = watchLedger(options, BUILD, `${term.incarnation}:1`, stop.signal);
  expect((await items.next()).value).toEqual({ cursor: `${term.incarnation}:1`, event: undefined });
  stop.abort();
  await items.return(undefined);
});

import { expect, test } from 'vitest';
import { silentLogger } from '../../base/log.ts';
import { present } from '../../base/assert.ts';
import { until } from '../../test/fixtures/until.ts';
import { parseBuildId, type BuildId } from '../core/ids.ts';
import { openHints } from '../ledger/hints.ts';
import { openHintFeed } from './hint-feed.ts';

const BUILD = present(parseBuildId(`b-${'1'.repeat(26)}`), 'a valid id');

/** Hints as a ledger gives them, and how many listen. */
function source() {
  const hints = openHints();
  let listening = 0;
  const listen = (signal: AbortSignal): AsyncIterable<readonly BuildId[]> => {
    listening += 1;
    signal.addEventListener('abort', () => (listening -= 1), { once: true });
    return hints.listen(signal);
  };
  return { give: hints.give, ledger: { hints: listen }, listening: () => listening };
}

test('hints are listened for only while somebody wants them, again and again', async () => {
  const { give, ledger, listening } = source();
  await using feed = openHintFeed(ledger, silentLogger);
  expect(listening()).toBe(0);
  for (let round = 0; round < 3; round += 1) {
    let changes = 0;
    const stop = feed.onLeadership(() => (changes += 1));
    await until('it listens', () => listening() === 1);
    give([]);
    await until('the change is told', () => changes === 1);
    stop();
    expect(listening()).toBe(0);
  }
});

test('an ear hears what came before anybody listened for it', async () => {
  const { ledger } = source();
  await using feed = openHintFeed(ledger, silentLogger);
  using ear = feed.listen([BUILD]);
  await ear.stirred(60_000, new AbortController().signal);
});

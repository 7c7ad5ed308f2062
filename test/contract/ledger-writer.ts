import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { present } from '../../base/assert.ts';
import { groupCommit } from '../../coordinator/ledger/group-commit.ts';
import { openSqliteLedger } from '../../coordinator/ledger/sqlite.ts';
import { buildNumber, buildRecord, eventRecord } from './ledger-records.ts';

/** Events of one submission of the writer, more than are put together otherwise: all of them are stored, or none. */
export const EVENTS_PER_SUBMISSION = 100;

// A process that commits until it is killed. It prints the number of each submission that was acknowledged.
if (import.meta.main) {
  const path = present(process.argv[2], 'the path of the ledger');
  const ledger = await openSqliteLedger({ path, synchronous: 'NORMAL', env: { log: silentLogger, clock: systemClock } });
  const term = present(await ledger.lead({ id: 'writer', address: '' }, 60_000, new AbortController().signal), 'nobody else leads');
  const commits = groupCommit(ledger, term);
  await commits.commit([buildRecord(buildNumber(1), [])]);
  const write = async (first: number, step: number) => {
    for (let number = first; ; number += step) {
      const from = number * EVENTS_PER_SUBMISSION;
      await commits.commit(Array.from({ length: EVENTS_PER_SUBMISSION }, (_, index) => eventRecord(buildNumber(1), from + index + 1)));
      process.stdout.write(`${number}\n`);
    }
  };
  await Promise.all(Array.from({ length: 5 }, (_, writer) => write(writer, 5)));
}

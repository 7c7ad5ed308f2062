import type { LedgerRecord } from '../../../coordinator/core/record.ts';
import type { SimCore } from '../coordinator.ts';
import { Violation } from '../world.ts';

/**
 * At a quiet point the ledger alone makes the scheduler that is running: a core restored from the ledger, and one restored
 * from the running core's snapshot, have the running core's snapshot.
 */
export function checkReplay(core: SimCore, stored: readonly LedgerRecord[], makeCore: () => SimCore): void {
  const live = core.snapshot();
  const expected = textOf(live);
  const again = makeCore();
  again.restore(stored);
  compare(expected, textOf(again.snapshot()), 'a core restored from the ledger');
  const copy = makeCore();
  copy.restore(live);
  compare(expected, textOf(copy.snapshot()), "a core restored from the running one's snapshot");
}

function textOf(records: readonly LedgerRecord[]): ReadonlyMap<string, string> {
  return new Map(records.map((record) => [keyOf(record), JSON.stringify(record)]));
}

function keyOf(record: LedgerRecord): string {
  switch (record.kind) {
    case 'build':
      return `build ${record.build.id}`;
    case 'build-state':
    case 'step-spec':
    case 'step':
      return `${record.kind} ${record.id}`;
    case 'session':
      return `session ${record.agent}`;
    case 'hold':
      return `hold ${record.hold.target}`;
    case 'topology':
      return `topology ${record.revision.revision}`;
    default:
      return `${record.kind}, which no snapshot has`;
  }
}

function compare(expected: ReadonlyMap<string, string>, actual: ReadonlyMap<string, string>, what: string): void {
  for (const [key, text] of expected) {
    if (actual.get(key) !== text) throw new Violation('replay', `${what} has ${actual.get(key) ?? `no ${key}`}, the running core ${text}`);
  }
  for (const [key, text] of actual)
    if (!expected.has(key)) throw new Violation('replay', `${what} has ${text}, the running core has no ${key}`);
}

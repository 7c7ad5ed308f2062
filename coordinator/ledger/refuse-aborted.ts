import { Fault } from '../../base/fault.ts';

/** @throws {Fault} CANCELLED where the caller has given up already; nothing was done then. */
export function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new Fault('CANCELLED', 'The caller gave up before the ledger was asked', { cause: signal.reason });
}

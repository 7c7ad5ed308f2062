import type { RedisDurability } from './config.ts';
import type { Call, Connection } from './connection.ts';
import { command } from './reader.ts';

export type DurableOptions = {
  readonly connection: Connection;
  readonly durability: RedisDurability;
  /** Whether WAITAOF is there; where not, Redis answers after it has synced by itself. */
  readonly waitsForDisk: () => boolean;
  readonly answerMs: number;
};

/**
 * Makes a call that writes, and returns its answer once what it wrote, and everything that Redis had before it, is as durable
 * as the ledger says. Throws as Redis itself does where that cannot be confirmed: then it may be made again.
 */
export async function callDurably(options: DurableOptions, call: Call): Promise<unknown> {
  const wait = waitFor(options);
  const [answer, confirmed] = await options.connection.call(call, ...(wait === undefined ? [] : [wait]));
  if (wait !== undefined) expectConfirmed(options.durability, confirmed);
  return answer;
}

function waitFor({ durability, answerMs, waitsForDisk }: DurableOptions): Call | undefined {
  const waitMs = Math.floor(answerMs / 2);
  if (durability.kind === 'replicas') return command('WAIT', durability.count, waitMs);
  return durability.kind === 'fsync' && waitsForDisk() ? command('WAITAOF', 1, 0, waitMs) : undefined;
}

function expectConfirmed(durability: RedisDurability, answer: unknown): void {
  const wanted = durability.kind === 'replicas' ? durability.count : 1;
  const confirmed = Number(Array.isArray(answer) ? answer[0] : answer);
  if (confirmed >= wanted) return;
  if (durability.kind === 'replicas') throw new Error(`NOREPLICAS only ${confirmed} of ${wanted} replicas have confirmed the write`);
  throw new Error('MISCONF the disk of Redis has not confirmed the write');
}

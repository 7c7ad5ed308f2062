import { isFault } from '../../base/fault.ts';
import { parseOptions } from '../../base/options.ts';
import { COORDINATOR_OPTIONS } from '../../coordinator/config.ts';
import { ledgerRedisFrom } from '../../coordinator/ledger/redis/config.ts';
import { openRedisLedger } from '../../coordinator/ledger/redis/redis.ts';
import type { Finding } from '../commands/doctor.ts';
import type { Session } from '../session.ts';

/** The variable by which a coordinator on this host would find its Redis. */
const VARIABLE = 'SWITCHYARD_COORDINATOR_REDIS_URL';
const OPEN_MS = 3_000;

/**
 * Whether a coordinator that is started here with these variables could keep its ledger in Redis: it is reached with the
 * coordinator's own connection, and asked what the coordinator asks. Nothing is written. No finding where none is configured.
 */
export async function redisChecks({ terminal, signal }: Session): Promise<readonly Finding[]> {
  const { env, log, clock } = terminal;
  if ((env[VARIABLE] ?? '') === '') return [];
  const finding = (result: Finding['result'], found: string, fix?: string): Finding => ({ check: 'redis', result, found, fix });
  try {
    const config = ledgerRedisFrom(parseOptions(COORDINATOR_OPTIONS, env, []));
    await using ledger = await openRedisLedger({ config, env: { log, clock }, openMs: OPEN_MS });
    const { where, version } = ledger.state();
    const leader = await ledger.leader(signal);
    const leads = leader === undefined ? 'no coordinator leads' : `the coordinator at ${leader.address} leads`;
    return [finding('ok', `${where}, ${version}, durability ${config.durability.kind}; ${leads}`)];
  } catch (error) {
    if (!isFault(error)) throw error;
    return [finding('bad', error.message, error.hint ?? `Check ${VARIABLE}, and that Redis runs and can be reached from here.`)];
  }
}

import type { Env } from '../../base/env.ts';
import { callUnary, dial, type Link } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';

/** A coordinator's word to its data plane about attempts. */
export interface GrantControl extends AsyncDisposable {
  /** The attempt's lease is over. Told within `ENDED_WITHIN_MS`, together with what else ends then; where that fails its grant ends by itself with the time of the lease. */
  ended(token: string): void;
  /** Lets agents that know no grants use this one; returns once the data plane has it, or has not answered in time. */
  keep(grant: string): Promise<void>;
}

const DEADLINE_MS = 5_000;
/** News of ends wait so long for more: a call for each costs both sides a millisecond of work. */
const ENDED_WITHIN_MS = 50;
/** Most news of one call. */
const BATCH_MAX = 10_000;

/** One call is under way at a time: what comes meanwhile goes into the next one. */
export function openGrantControl(link: Link, env: Env): GrantControl {
  const client = dial(loadProto().switchyard.v1.DataAccess, link, 'control');
  const closing = new AbortController();
  const endedTokens: string[] = [];
  const keptGrants: string[] = [];
  let told = Promise.withResolvers<void>();
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const tell = async (): Promise<void> => {
    await Promise.resolve(); // what comes in the same turn goes along
    while ((endedTokens.length > 0 || keptGrants.length > 0) && !closing.signal.aborted) {
      const request = { endedTokens: endedTokens.splice(0, BATCH_MAX), keptGrants: keptGrants.splice(0, BATCH_MAX) };
      const all = told;
      told = Promise.withResolvers();
      try {
        await callUnary(client, 'updateGrants', request, { signal: closing.signal, deadlineMs: DEADLINE_MS });
      } catch (error) {
        if (!closing.signal.aborted) env.log.debug('grants-not-updated', { ended: request.endedTokens.length, error });
      }
      all.resolve();
    }
    running = undefined;
  };
  const begin = () => {
    clearTimeout(timer);
    timer = undefined;
    running ??= tell();
  };
  return {
    ended(token) {
      endedTokens.push(token);
      if (running === undefined) timer ??= setTimeout(begin, ENDED_WITHIN_MS);
    },
    async keep(grant) {
      keptGrants.push(grant);
      const { promise } = told;
      begin();
      await promise;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      clearTimeout(timer);
      told.resolve();
      await running;
      client.close();
    },
  };
}

import type { Event } from './event.ts';
import { parseAgentId } from './ids.ts';
import { tellDrain } from './sessions.ts';
import type { Turn } from './turn.ts';

/** What keeps work away from agents, pools and clusters. */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export function placeHold(turn: Turn, event: Extract<Event, { kind: 'hold-placed' }>): void {
  const refusal = checkTarget(event.target);
  if (refusal !== undefined) return void (turn.reply = { kind: 'refused', code: 'BAD_REQUEST', message: refusal, field: 'target' });
  if (event.expiresAt !== undefined && event.expiresAt <= turn.now) {
    return void (turn.reply = { kind: 'refused', code: 'BAD_REQUEST', message: 'The hold would be over already', field: 'expires_at' });
  }
  const { target, hold, reason, by, expiresAt } = event;
  turn.put({ kind: 'hold', hold: { target, kind: hold, reason, by, since: turn.now, expiresAt } });
  for (const agent of turn.yard.fleet.agents.values()) if (turn.yard.fleet.holdOn(agent)?.hold.target === target) tellDrain(turn, agent);
  turn.reply = { kind: 'done' };
}

/** Lifting what is not held is no error: the wish is fulfilled. */
export function liftHold(turn: Turn, event: Extract<Event, { kind: 'hold-lifted' }>): void {
  if (turn.yard.fleet.holds.has(event.target)) turn.put({ kind: 'hold-lifted', target: event.target });
  turn.reply = { kind: 'done' };
}

function checkTarget(target: string): string | undefined {
  const colon = target.indexOf(':');
  const kind = target.slice(0, colon);
  const name = target.slice(colon + 1);
  if (kind === 'agent' && parseAgentId(name) !== undefined) return undefined;
  if (kind === 'cluster' && NAME.test(name)) return undefined;
  const [cluster = '', pool = '', ...rest] = name.split('/');
  if (kind === 'pool' && rest.length === 0 && NAME.test(cluster) && NAME.test(pool)) return undefined;
  return `"${target.slice(0, 128)}" names nothing to hold: write agent:NAME, pool:CLUSTER/POOL or cluster:NAME`;
}

import { unreachable } from '../../base/assert.ts';
import { ringAgent } from './breaker.ts';
import { cancelStep, timeOutBuild } from './builds.ts';
import { lagDetail } from './build-end.ts';
import { lose, returnOffer } from './leases.ts';
import type { HoldNode, StepNode, TimerOwner } from './nodes.ts';
import { ringClass } from './reserve.ts';
import { ringPool } from './pool-breaker.ts';
import { skip, withdraw } from './step-moves.ts';
import type { Turn } from './turn.ts';

/** What happens when the time of something has come. */
export function ring(turn: Turn, owner: TimerOwner): void {
  switch (owner.kind) {
    case 'step':
      return ringStep(turn, owner);
    case 'build':
      return timeOutBuild(turn, owner);
    case 'hold':
      return ringHold(turn, owner);
    case 'agent':
      return ringAgent(turn, owner);
    case 'pool':
      return ringPool(turn, owner);
    case 'class':
      return ringClass(turn, owner);
    default:
      return unreachable(owner);
  }
}

function ringHold(turn: Turn, node: HoldNode): void {
  turn.put({ kind: 'hold-lifted', target: node.hold.target });
}

/** A step may wait for several things at once; each is looked at, the strongest first. */
function ringStep(turn: Turn, step: StepNode): void {
  const { index } = turn.yard;
  if (isTotalOver(turn, step)) cancelStep(turn, step, { kind: 'timed-out', bound: 'total' });
  else if (isStartOver(turn, step)) endUnstarted(turn, step);
  else ringState(turn, step);
  index.setTimer(step);
}

function isTotalOver(turn: Turn, step: StepNode): boolean {
  const at = turn.yard.index.totalAt(step);
  const { state } = step.record;
  if (at === undefined || turn.now < at || state.kind === 'blocked') return false;
  return state.kind !== 'running' || state.cancelling === undefined;
}

/** An offer under way is left to be taken or not; if it comes back, the bound applies then. */
function isStartOver(turn: Turn, step: StepNode): boolean {
  const { kind } = step.record.state;
  if (kind !== 'resolving' && kind !== 'queued' && kind !== 'merged') return false;
  const bound = turn.yard.index.startBound(step);
  return bound !== undefined && turn.now >= bound.at;
}

function endUnstarted(turn: Turn, step: StepNode): void {
  const { onLag } = step.spec;
  if (turn.yard.index.startBound(step)?.kind === 'queue' || onLag === undefined) {
    return cancelStep(turn, step, { kind: 'timed-out', bound: 'queue' });
  }
  withdraw(turn, step);
  skip(turn, step, 'lagged', lagDetail(onLag.afterMs), onLag.use === 'default');
}

function ringState(turn: Turn, step: StepNode): void {
  const { state } = step.record;
  const { fleet } = turn.yard;
  switch (state.kind) {
    case 'blocked':
    case 'merged':
    case 'ended':
      return;
    case 'resolving':
      if (step.resolveAt === undefined || turn.now < step.resolveAt) return;
      step.resolveAt = undefined;
      return void turn.resolving.push(step);
    case 'queued':
      if (step.delayed && turn.now >= (state.notBefore ?? 0)) {
        step.delayed = false;
        step.waitNote = undefined;
        fleet.enqueue(step);
      } else if (step.parkedUntil !== undefined && turn.now >= step.parkedUntil) {
        step.patienceOver = true;
        fleet.unpark(step);
      }
      return;
    case 'offered':
      if (turn.now < Math.max(state.offerExpiresAt, step.frozenUntil)) return;
      withdraw(turn, step);
      return returnOffer(turn, step, `agent ${state.lease.agent} did not take it in time`, fleet.agent(state.lease.agent));
    case 'running':
      if (turn.now < Math.max(state.lease.expiresAt, step.frozenUntil)) return;
      turn.yard.tally.leasesExpired += 1;
      return lose(turn, step, { message: `agent ${state.lease.agent} was not heard of in time`, agentLost: true });
  }
}

import { assert, unreachable } from '../../base/assert.ts';
import { setAgentTimer } from './breaker.ts';
import type { Event, HeldLease } from './event.ts';
import { sessionIdOf, type LeaseToken, type SessionId } from './ids.ts';
import { accept, finish, handBack, lose, renew, returnOffer, start } from './leases.ts';
import type { AgentNode, StepNode } from './nodes.ts';
import type { LeaseVerdict, ResultVerdict } from './outcome.ts';
import type { Turn } from './turn.ts';

/** An agent's registrations and what it says in them. Only its newest session is listened to. */

type Registered = Extract<Event, { kind: 'agent-registered' }>;

export function register(turn: Turn, event: Registered): void {
  const { facts } = event;
  const { fleet, limits, timings } = turn.yard;
  const known = fleet.agents.get(facts.agent);
  const refusal = refuse(turn, event, known);
  if (refusal !== undefined) return;
  if (known !== undefined) turn.tell(known, { kind: 'superseded' });
  const sameProcess = known?.session?.facts.bootId === facts.bootId;
  const epoch = (known?.session?.epoch ?? 0) + 1;
  const session = sessionIdOf(facts.agent, epoch);
  turn.put({ kind: 'session', agent: facts.agent, session: { session, epoch, facts, registeredAt: turn.now } });
  const agent = fleet.agent(facts.agent);
  agent.connected = true;
  agent.draining = event.draining ? 'it said so when it registered' : undefined;
  agent.credits = 0;
  agent.cordoned = undefined;
  if (!sameProcess) {
    agent.errorCount = 0;
    agent.lastError = undefined;
    agent.breaker = { kind: 'closed' };
  }
  setAgentTimer(turn, agent);
  const { verdicts, results } = takeHeld(turn, agent, event.held, sameProcess);
  const { leaseTtlMs, heartbeatMs, offerTtlMs } = timings;
  turn.tell(agent, { kind: 'registered', epoch, leaseTtlMs, heartbeatMs, offerTtlMs, held: verdicts });
  for (const { token, verdict } of results) turn.tell(agent, { kind: 'result-reply', token, verdict });
  tellDrain(turn, agent);
  agent.credits = Math.max(0, event.credits - agent.offeredCount);
  fleet.refresh(agent);
  turn.reply = { kind: 'session', session, epoch };
  assert(fleet.agents.size <= limits.agents, 'agents beyond the limit are refused');
}

/** Tells an agent that is on drain to finish and end. */
export function tellDrain(turn: Turn, agent: AgentNode): void {
  const hold = turn.yard.fleet.holdOn(agent)?.hold;
  if (hold?.kind === 'drain') turn.tell(agent, { kind: 'drain', reason: hold.reason });
}

/** The agent of a session, where it is its newest one; an older one is told so. */
export function agentOf(turn: Turn, session: SessionId): AgentNode | undefined {
  const agent = turn.yard.fleet.sessions.get(session);
  if (agent?.connected === true) return agent;
  turn.send({ kind: 'tell-agent', session, message: { kind: 'superseded' } });
  return undefined;
}

/** Its leases live on until they run out: it may be back before. */
export function disconnect(turn: Turn, session: SessionId): void {
  const agent = turn.yard.fleet.sessions.get(session);
  if (agent === undefined) return;
  agent.connected = false;
  agent.credits = 0;
  agent.disconnectedAt = turn.now;
  setAgentTimer(turn, agent);
  turn.yard.fleet.refresh(agent);
}

/** What an agent says in its newest session. */
type Said = Extract<
  Event,
  {
    kind:
      | 'heartbeat-received'
      | 'offer-accepted'
      | 'offer-rejected'
      | 'attempt-started'
      | 'attempt-finished'
      | 'agent-drained'
      | 'agent-left';
  }
>;

export function hear(turn: Turn, agent: AgentNode, event: Said): void {
  switch (event.kind) {
    case 'heartbeat-received':
      return heartbeat(turn, agent, event);
    case 'offer-accepted': {
      const step = agent.leases.get(event.token);
      return step === undefined ? undefined : accept(turn, step);
    }
    case 'offer-rejected': {
      const step = agent.leases.get(event.token);
      return step === undefined ? undefined : returnOffer(turn, step, `agent ${agent.id} turned it down: ${event.reason}`, agent);
    }
    case 'attempt-started': {
      const step = agent.leases.get(event.token);
      return step === undefined ? undefined : start(turn, step);
    }
    case 'attempt-finished': {
      const verdict = finish(turn, agent, event.token, event.report);
      return turn.tell(agent, { kind: 'result-reply', token: event.token, verdict });
    }
    case 'agent-drained':
      agent.draining = event.reason;
      return turn.yard.fleet.refresh(agent);
    case 'agent-left':
      return leave(turn, agent);
    default:
      return unreachable(event);
  }
}

function heartbeat(turn: Turn, agent: AgentNode, { tokens, credits, cordoned }: Extract<Said, { kind: 'heartbeat-received' }>): void {
  const leases: { token: LeaseToken; verdict: LeaseVerdict }[] = [];
  const listed = new Set(tokens);
  for (const token of listed) {
    const step = agent.leases.get(token);
    leases.push({ token, verdict: step === undefined ? 'lost' : renew(turn, step) });
  }
  const unlisted: StepNode[] = [];
  for (const [token, step] of agent.leases) if (!listed.has(token) && step.record.state.kind === 'running') unlisted.push(step);
  for (const step of unlisted) lose(turn, step, { message: `agent ${agent.id} does not know of it any more`, agentLost: false });
  turn.tell(agent, { kind: 'heartbeat-reply', leases });
  agent.credits = Math.max(0, credits - agent.offeredCount);
  agent.cordoned = cordoned;
  turn.yard.fleet.refresh(agent);
}

/** The agent's goodbye: nothing of it needs to be waited for. */
function leave(turn: Turn, agent: AgentNode): void {
  agent.draining = 'it left';
  turn.yard.fleet.refresh(agent);
  for (const step of [...agent.leases.values()]) handBack(turn, step);
  agent.connected = false;
  agent.credits = 0;
  agent.disconnectedAt = turn.now;
  setAgentTimer(turn, agent);
}

function refuse(turn: Turn, event: Registered, known: AgentNode | undefined): true | undefined {
  const { limits, fleet } = turn.yard;
  const labels = Object.entries(event.facts.labels);
  const long = labels.find(([key, value]) => key.length > limits.labelBytes || value.length > limits.labelBytes);
  if (labels.length > limits.labelsPerAgent) {
    const message = `An agent may have ${limits.labelsPerAgent} labels, this one has ${labels.length}`;
    turn.reply = { kind: 'refused', code: 'TOO_LARGE', message, field: 'labels' };
  } else if (long !== undefined) {
    const message = `Label "${long[0].slice(0, 64)}" is longer than ${limits.labelBytes} characters`;
    turn.reply = { kind: 'refused', code: 'TOO_LARGE', message, field: 'labels' };
  } else if (known?.session === undefined && fleet.agents.size >= limits.agents) {
    const message = `This coordinator knows ${limits.agents} agents already`;
    turn.reply = { kind: 'refused', code: 'LIMIT_EXCEEDED', message, retryAfterMs: 60_000 };
  } else {
    return undefined;
  }
  return true;
}

type Held = {
  readonly verdicts: { readonly token: LeaseToken; readonly verdict: LeaseVerdict }[];
  readonly results: { readonly token: LeaseToken; readonly verdict: ResultVerdict }[];
};

/** What the agent brings back goes on; what it should have brought and did not is lost at once. */
function takeHeld(turn: Turn, agent: AgentNode, held: readonly HeldLease[], sameProcess: boolean): Held {
  const answer: Held = { verdicts: [], results: [] };
  const brought = new Set(held.map((lease) => lease.token));
  for (const { token, phase } of held) {
    const step = agent.leases.get(token);
    if (phase.kind === 'finished') {
      const verdict = finish(turn, agent, token, phase.report);
      answer.results.push({ token, verdict });
      answer.verdicts.push({ token, verdict: verdict === 'fenced' ? 'lost' : 'continue' });
    } else {
      answer.verdicts.push({ token, verdict: step === undefined ? 'lost' : resume(turn, step, phase.kind === 'started') });
    }
  }
  for (const [token, step] of [...agent.leases]) {
    if (brought.has(token)) continue;
    const message = sameProcess ? `agent ${agent.id} came back without it` : `agent ${agent.id} was restarted`;
    lose(turn, step, { message, agentLost: !sameProcess });
  }
  return answer;
}

function resume(turn: Turn, step: StepNode, started: boolean): LeaseVerdict {
  if (started) start(turn, step);
  return renew(turn, step);
}

import { assert, present } from '../../base/assert.ts';
import { NO_RESOURCES } from '../../base/resources.ts';
import { NO_USAGE, type AttemptReport } from '../../cache/action/result.ts';
import { EMPTY_DIGEST } from '../../cache/digest.ts';
import type { Event } from '../../coordinator/core/event.ts';
import { parseAgentId, parseBuildId, type LeaseToken, type SessionId } from '../../coordinator/core/ids.ts';
import type { Outcome } from '../../coordinator/core/outcome.ts';
import { Scheduler } from '../../coordinator/core/scheduler.ts';
import type { BuildSpec, StepSpec } from '../../coordinator/core/spec.ts';
import { PLAIN_STEP } from '../fixtures/plain-step.ts';
import { median, type Bench } from './bench.ts';
import { hostMicros } from './host-micros.ts';

const ROUNDS = 5;
const REPORT: AttemptReport = {
  kind: 'succeeded',
  result: { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 0, endedAt: 0 },
};

type Load = { readonly agents: number; readonly steps: number; readonly perBuild: number };
type Backlog = { readonly agents: number; readonly steps: number; readonly classes: number };

/**
 * The scheduler alone, with every policy on: a step's life is submitted, resolved, offered, accepted, started, finished.
 * The load plays resolver and agents in the same loop and answers every send at once; no ledger, no wire.
 */
export const coreBench: Bench = {
  name: 'core',
  about: 'step life cycles of the scheduler alone',
  knowsPeers: false,
  async *run({ quick }) {
    const steps = quick ? 5_000 : 100_000;
    const loads: readonly Load[] = [
      { agents: 1, steps, perBuild: 1_000 },
      { agents: 64, steps, perBuild: 1_000 },
      { agents: 1_000, steps, perBuild: 1_000 },
      { agents: 64, steps, perBuild: steps },
    ];
    for (const load of loads) {
      const rates: number[] = [];
      for (let round = 0; round < (quick ? 1 : ROUNDS); round += 1) rates.push(lifeCycles(load));
      const named = `${load.agents} agents, ${load.steps} steps in builds of ${load.perBuild}`;
      yield { case: named, metric: 'step life cycles, median', value: median(rates), unit: '/s' };
    }
    const backlogs: readonly Backlog[] = [
      { agents: 64, steps: steps / 10, classes: 1 },
      { agents: 64, steps, classes: 1 },
      { agents: 1_000, steps, classes: 1 },
      { agents: 64, steps, classes: 100 },
      { agents: 64, steps, classes: 1_000 },
    ];
    for (const backlog of backlogs) {
      const named = `${backlog.agents} busy agents, ${backlog.steps} queued steps of ${backlog.classes} classes`;
      yield { case: named, metric: 'one end and the next offer', value: nextOfferMicros(backlog), unit: 'us' };
    }
  },
};

function lifeCycles({ agents, steps, perBuild }: Load): number {
  const scheduler = new Scheduler({ nonce: 'abc', seed: 1, limits: { unfinishedStepsPerProject: steps } });
  const inbox: Event[] = [];
  for (let index = 0; index < agents; index += 1) inbox.push(registration(index));
  const specs = Array.from({ length: Math.ceil(steps / perBuild) }, (_, index) => submission(index, perBuild));
  let ended = 0;
  let now = 1_000_000;
  const drain = () => {
    for (let next = inbox.pop(); next !== undefined; next = inbox.pop()) {
      now += 1;
      for (const send of scheduler.apply(next, now).sends) {
        if (send.kind === 'resolve') inbox.push({ kind: 'step-resolved', step: send.step, resolution: READY });
        else if (send.kind === 'tell-agent' && send.message.kind === 'offer') {
          const { session } = send;
          const { token } = send.message;
          // Last in, first out: accepted, started, finished, and the heartbeat by which an agent grants new offers.
          inbox.push({ kind: 'heartbeat-received', session, tokens: [], credits: SLOTS });
          inbox.push({ kind: 'attempt-finished', session, token, report: REPORT }, { kind: 'attempt-started', session, token });
          inbox.push({ kind: 'offer-accepted', session, token });
          ended += 1;
        }
      }
    }
  };
  drain();
  const before = hostMicros();
  for (const spec of specs) {
    inbox.push(spec);
    drain();
  }
  const seconds = (hostMicros() - before) / 1e6;
  assert(ended >= steps, `all ${steps} steps ran, ${ended} did`);
  return steps / seconds;
}

/** What it costs that a slot comes free while everything is full and the rest of the steps wait; of the median end. */
function nextOfferMicros({ agents, steps, classes }: Backlog): number {
  const scheduler = new Scheduler({ nonce: 'abc', seed: 1, limits: { unfinishedStepsPerProject: steps } });
  const offers: { readonly session: SessionId; readonly token: LeaseToken }[] = [];
  const take = (event: Event): Outcome['sends'] => {
    const { sends } = scheduler.apply(event, 1_000_000);
    for (const send of sends) {
      if (send.kind === 'tell-agent' && send.message.kind === 'offer') offers.push({ session: send.session, token: send.message.token });
    }
    return sends;
  };
  for (let index = 0; index < agents; index += 1) take(registration(index));
  const classOf = (step: StepSpec, index: number) => ({
    ...step,
    needs: [],
    resources: { ...step.resources, cpuMillis: 1_000 + (index % classes) },
  });
  for (let index = 0; index < 8; index += 1) {
    const submitted = submission(index, Math.ceil(steps / 8));
    for (const send of take({ ...submitted, spec: { ...submitted.spec, steps: submitted.spec.steps.map(classOf) } })) {
      if (send.kind === 'resolve') take({ kind: 'step-resolved', step: send.step, resolution: READY });
    }
  }
  const micros: number[] = [];
  for (const { session, token } of offers.slice(0, 500)) {
    take({ kind: 'offer-accepted', session, token });
    const before = hostMicros();
    take({ kind: 'attempt-finished', session, token, report: REPORT });
    take({ kind: 'heartbeat-received', session, tokens: [], credits: SLOTS });
    micros.push(hostMicros() - before);
  }
  return median(micros);
}

const READY = {
  kind: 'ready',
  action: { action: EMPTY_DIGEST, inputRoot: EMPTY_DIGEST, inputBytes: 0, parts: [] },
} as const;

const SLOTS = 16;

function agentName(index: number) {
  return present(parseAgentId(`agent-${index}`), 'agent name');
}

function registration(index: number): Event {
  return {
    kind: 'agent-registered',
    facts: {
      agent: agentName(index),
      bootId: 'boot',
      labels: { cluster: 'c', pool: 'p', zone: 'production', class: index % 4 === 0 ? 'central' : 'edge', arch: 'amd64' },
      capacity: { cpuMillis: SLOTS * 1000, memoryBytes: 2 ** 36, slots: SLOTS, custom: {} },
      sandbox: [],
      version: 'bench',
    },
    credits: SLOTS,
    held: [],
    draining: false,
  };
}

function submission(index: number, count: number): Extract<Event, { kind: 'build-submitted' }> {
  const id = present(parseBuildId(`b-${index.toString().padStart(26, '0')}`), 'build id');
  const spec: BuildSpec = {
    name: 'bench',
    project: `project-${index % 8}`,
    scope: 'main',
    zoneCeiling: 'production',
    submittedBy: 'bench',
    labels: {},
    weight: 1,
    timeoutMs: undefined,
    failFast: false,
    steps: Array.from({ length: count }, (_, step) => stepSpec(step)),
  };
  return { kind: 'build-submitted', id, spec, idempotencyKey: id };
}

function stepSpec(index: number): StepSpec {
  return {
    ...PLAIN_STEP,
    name: `step-${index}`,
    // Chains of ten: most steps become ready by another one's end, as in real builds.
    needs: index % 10 === 0 ? [] : [{ step: `step-${index - 1}`, outputs: false }],
    selector: 'arch in (amd64,arm64)',
    resources: { ...NO_RESOURCES, cpuMillis: 500, slots: 1 },
    cacheable: false,
    sideEffects: true,
    graceMs: 1_000,
  };
}

import { describe, expect, test } from 'vitest';
import { prngFrom } from '../../base/prng.ts';
import { EMPTY_DIGEST } from '../../cache/digest.ts';
import { NO_USAGE, type AttemptReport } from '../../cache/action/result.ts';
import { SessionCore } from './core.ts';
import type { AgentProfile, KeptResult, SessionEvent, SessionOutcome } from './event.ts';
import { LOG_CHUNK_BYTES } from './lease.ts';
import type { AgentMessage, CoordinatorMessage, Offer, Registered } from './message.ts';

const PROFILE: AgentProfile = {
  agentId: 'edge-1',
  bootId: 'boot-1',
  labels: { class: 'edge' },
  capacity: { cpuMillis: 2_000, memoryBytes: 1024, slots: 2, custom: {} },
  sandbox: ['isolatesFiles'],
  version: '1.0.0',
  drainTimeoutMs: 60_000,
};

const TERMS: Registered = {
  kind: 'registered',
  protocol: 1,
  epoch: 7,
  leaseTtlMs: 15_000,
  heartbeatMs: 5_000,
  offerTtlMs: 2_000,
  logBytesMax: 1024 * 1024,
  logWindowBytes: 128 * 1024,
  held: [],
  logs: [],
  serverTime: 0,
  dataAddress: '127.0.0.1:1',
};

const SUCCEEDED: AttemptReport = {
  kind: 'succeeded',
  result: { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent: 'edge-1', startedAt: 1, endedAt: 2 },
};

function offer(token: string, changes: Partial<Offer> = {}): Offer {
  return {
    kind: 'offer',
    token,
    build: 'b-1',
    step: 'test',
    attempt: 1,
    leaseTtlMs: 15_000,
    command: ['true'],
    env: {},
    passEnv: [],
    workingDirectory: '',
    inputRoot: EMPTY_DIGEST,
    outputs: [],
    resources: { cpuMillis: 0, memoryBytes: 0, slots: 1, custom: {} },
    network: false,
    sandbox: [],
    sideEffects: false,
    runTimeoutMs: 60_000,
    graceMs: 10_000,
    instanceName: 'p/main',
    scope: 'main',
    ...changes,
  };
}

/** A core with a time of its own; `at` advances it, waking the core whenever it asked for that. */
class Rig {
  readonly core: SessionCore;
  now = 1_000;
  stream = 0;
  wakeAt: number | undefined;
  ended: SessionOutcome['ended'];
  readonly sends: AgentMessage[] = [];
  readonly commands: SessionOutcome['commands'][number][] = [];

  constructor(profile: Partial<AgentProfile> = {}, kept: readonly KeptResult[] = []) {
    this.core = new SessionCore({ ...PROFILE, ...profile }, prngFrom(1), kept);
  }

  apply(event: SessionEvent): SessionOutcome {
    const outcome = this.core.apply(event, this.now);
    this.wakeAt = outcome.wakeAt;
    this.ended = outcome.ended;
    for (const command of outcome.commands) if (command.kind === 'dial') this.stream = command.stream;
    this.sends.push(...outcome.sends);
    this.commands.push(...outcome.commands);
    return outcome;
  }

  hear(message: CoordinatorMessage): SessionOutcome {
    return this.apply({ kind: 'message-received', stream: this.stream, message });
  }

  /** Lets time pass, with every `woke` that the core asked for. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.wakeAt !== undefined && this.wakeAt <= until && this.ended === undefined) {
      this.now = Math.max(this.now, this.wakeAt);
      this.apply({ kind: 'woke' });
    }
    this.now = until;
  }

  connect(terms: Partial<Registered> = {}): this {
    if (this.stream === 0) this.apply({ kind: 'woke' });
    this.apply({ kind: 'connected', stream: this.stream });
    this.hear({ ...TERMS, ...terms });
    return this;
  }

  /** Breaks the stream and waits until the core dials again. */
  breakStream(): void {
    const before = this.stream;
    this.apply({ kind: 'stream-broke', stream: this.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
    while (this.stream === before) this.pass(100);
  }

  /** The answer to every heartbeat so far: all of its leases go on. */
  renew(...tokens: readonly string[]): void {
    this.hear({ kind: 'heartbeat-reply', leases: tokens.map((token) => ({ token, verdict: 'continue' as const })) });
  }

  start(token: string, changes: Partial<Offer> = {}): void {
    this.hear(offer(token, changes));
    this.apply({ kind: 'attempt-prepared', token });
    if (changes.sideEffects === true) this.renew(token);
    this.apply({ kind: 'attempt-running', token });
  }

  finish(token: string, report: AttemptReport = SUCCEEDED): void {
    this.apply({ kind: 'attempt-exited', token });
    this.apply({ kind: 'attempt-finished', token, report });
  }

  said<K extends AgentMessage['kind']>(kind: K): Extract<AgentMessage, { kind: K }>[] {
    return this.sends.filter((message): message is Extract<AgentMessage, { kind: K }> => message.kind === kind);
  }

  did<K extends SessionOutcome['commands'][number]['kind']>(kind: K): Extract<SessionOutcome['commands'][number], { kind: K }>[] {
    type Found = Extract<SessionOutcome['commands'][number], { kind: K }>;
    return this.commands.filter((command): command is Found => command.kind === kind);
  }
}

describe('registration', () => {
  test('the first message says who the agent is and what it holds', () => {
    const rig = new Rig().connect();
    expect(rig.sends[0]).toEqual({
      kind: 'register',
      agentId: 'edge-1',
      bootId: 'boot-1',
      protocolMin: 1,
      protocolMax: 1,
      labels: { class: 'edge' },
      capacity: PROFILE.capacity,
      sandbox: ['isolatesFiles'],
      credits: 2,
      held: [],
      version: '1.0.0',
      draining: false,
    });
  });

  test('nothing but register is said before registered', () => {
    const rig = new Rig();
    rig.apply({ kind: 'woke' });
    rig.apply({ kind: 'connected', stream: rig.stream });
    rig.hear(offer('t.1'));
    rig.apply({ kind: 'drain-requested', reason: 'x' });
    expect(rig.sends.map((message) => message.kind)).toEqual(['register']);
  });

  test('a coordinator that says nothing is given up and dialled again', () => {
    const rig = new Rig();
    rig.apply({ kind: 'woke' });
    rig.apply({ kind: 'connected', stream: rig.stream });
    rig.pass(11_000);
    expect(rig.did('hang-up')).toHaveLength(1);
    expect(rig.did('dial')).toHaveLength(2);
  });

  test('the timings of the coordinator count, not our own', () => {
    const rig = new Rig().connect({ heartbeatMs: 100, leaseTtlMs: 400 });
    rig.pass(150);
    expect(rig.said('heartbeat')).toHaveLength(1);
  });

  test('a refusal for good ends the agent, a passing one does not', () => {
    const rig = new Rig();
    rig.apply({ kind: 'woke' });
    rig.apply({ kind: 'connected', stream: rig.stream });
    rig.hear({ kind: 'refused', retry: true, reason: 'starting' });
    expect(rig.ended).toBeUndefined();
    rig.pass(300);
    rig.apply({ kind: 'connected', stream: rig.stream });
    rig.hear({ kind: 'refused', retry: false, reason: 'unknown pool' });
    expect(rig.ended).toEqual({ ok: false, reason: 'The coordinator refuses this agent: unknown pool' });
  });

  test.for(['UNAUTHENTICATED', 'FORBIDDEN', 'PROTOCOL_UNSUPPORTED'] as const)('%s ends an agent that was never registered', (code) => {
    const rig = new Rig();
    rig.apply({ kind: 'woke' });
    rig.apply({ kind: 'stream-broke', stream: rig.stream, code, message: 'no' });
    expect(rig.ended).toEqual({ ok: false, reason: 'no' });
  });

  test('an agent that was registered before outlives a rejected token', () => {
    const rig = new Rig().connect();
    rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'UNAUTHENTICATED', message: 'no' });
    expect(rig.ended).toBeUndefined();
  });

  test('a protocol that the agent does not speak ends it', () => {
    const rig = new Rig().connect({ protocol: 2 });
    expect(rig.ended?.ok).toBe(false);
  });

  test('what an old stream still says is not heard', () => {
    const rig = new Rig().connect();
    const old = rig.stream;
    rig.breakStream();
    rig.connect();
    rig.apply({ kind: 'message-received', stream: old, message: offer('t.1') });
    rig.apply({ kind: 'stream-broke', stream: old, code: 'PEER_UNAVAILABLE', message: 'late' });
    expect(rig.did('prepare')).toEqual([]);
    expect(rig.did('dial')).toHaveLength(2);
  });
});

describe('redialling', () => {
  test('waits grow while no session lasts, and stay below their ceiling', () => {
    const rig = new Rig();
    rig.apply({ kind: 'woke' });
    for (let dials = 0; dials < 40; dials += 1) {
      rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
      expect((rig.wakeAt ?? 0) - rig.now).toBeLessThanOrEqual(Math.min(10_000, 200 * 2 ** dials));
      rig.pass(10_000);
    }
  });

  test('a session that lasted begins again with the shortest wait', () => {
    const rig = new Rig();
    rig.apply({ kind: 'woke' });
    for (let dials = 0; dials < 10; dials += 1) {
      rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
      rig.pass(10_000);
    }
    rig.connect();
    rig.pass(3_000);
    rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
    expect((rig.wakeAt ?? 0) - rig.now).toBeLessThanOrEqual(200);
  });
});

describe('offers', () => {
  test('an offer is accepted at once and prepared', () => {
    const rig = new Rig().connect();
    const outcome = rig.hear(offer('t.1'));
    expect(outcome.sends).toContainEqual({ kind: 'accept', token: 't.1' });
    expect(outcome.commands).toEqual([{ kind: 'prepare', offer: offer('t.1') }]);
  });

  test('a repeated offer is accepted again and prepared once', () => {
    const rig = new Rig().connect();
    rig.hear(offer('t.1'));
    rig.hear(offer('t.1'));
    expect(rig.said('accept')).toHaveLength(2);
    expect(rig.did('prepare')).toHaveLength(1);
  });

  test('an offer beyond the slots is refused', () => {
    const rig = new Rig().connect();
    rig.hear(offer('t.1'));
    rig.hear(offer('t.2', { resources: { cpuMillis: 0, memoryBytes: 0, slots: 2, custom: {} } }));
    expect(rig.said('reject')).toEqual([{ kind: 'reject', token: 't.2', reason: 'No free slot' }]);
  });

  test('an offer that wants what the sandbox lacks is refused, and its credit is not given back at once', () => {
    const rig = new Rig().connect();
    const outcome = rig.hear(offer('t.1', { sandbox: ['isolatesFiles', 'isolatesNetwork'] }));
    expect(outcome.sends).toEqual([{ kind: 'reject', token: 't.1', reason: 'The sandbox here does not offer isolatesNetwork' }]);
  });

  test('a withdrawn offer is stopped, and frees its slot once nothing of it is left', () => {
    const rig = new Rig().connect();
    rig.hear(offer('t.1'));
    rig.hear({ kind: 'offer-withdrawn', token: 't.1' });
    expect(rig.did('cancel')).toHaveLength(1);
    expect(rig.said('heartbeat')).toEqual([]);
    rig.finish('t.1');
    expect(rig.said('finished')).toEqual([]);
    expect(rig.did('forget')).toEqual([{ kind: 'forget', token: 't.1' }]);
    expect(rig.said('heartbeat')).toEqual([{ kind: 'heartbeat', tokens: [], credits: 2 }]);
  });

  test('a pure step runs as soon as it is ready', () => {
    const rig = new Rig().connect();
    rig.hear(offer('t.1'));
    expect(rig.apply({ kind: 'attempt-prepared', token: 't.1' }).commands).toEqual([{ kind: 'run', token: 't.1' }]);
    expect(rig.apply({ kind: 'attempt-running', token: 't.1' }).sends).toEqual([{ kind: 'running', token: 't.1' }]);
  });

  test('a side-effecting step runs only after its lease was renewed', () => {
    const rig = new Rig().connect();
    const outcome = rig.hear(offer('t.1', { sideEffects: true }));
    expect(outcome.sends.map((message) => message.kind)).toEqual(['accept', 'heartbeat']);
    rig.apply({ kind: 'attempt-prepared', token: 't.1' });
    expect(rig.did('run')).toEqual([]);
    rig.renew('t.1');
    expect(rig.did('run')).toHaveLength(1);
  });

  test('the answer to a heartbeat from before the offer does not let it run', () => {
    const rig = new Rig().connect();
    rig.pass(5_000);
    rig.hear(offer('t.1', { sideEffects: true }));
    rig.apply({ kind: 'attempt-prepared', token: 't.1' });
    rig.renew();
    expect(rig.did('run')).toEqual([]);
    rig.renew('t.1');
    expect(rig.did('run')).toHaveLength(1);
  });
});

describe('heartbeats and credits', () => {
  test('one heartbeat names all leases', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.start('t.2');
    rig.pass(5_000);
    expect(rig.said('heartbeat').at(-1)).toEqual({ kind: 'heartbeat', tokens: ['t.1', 't.2'], credits: 0 });
  });

  test('a slot that becomes free is announced with the result', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'attempt-exited', token: 't.1' });
    const outcome = rig.apply({ kind: 'attempt-finished', token: 't.1', report: SUCCEEDED });
    expect(outcome.sends).toEqual([
      { kind: 'finished', token: 't.1', report: SUCCEEDED },
      { kind: 'heartbeat', tokens: ['t.1'], credits: 2 },
    ]);
  });

  test('heartbeats without an answer end the stream', () => {
    const rig = new Rig().connect();
    rig.pass(16_000);
    expect(rig.did('hang-up')).toHaveLength(1);
  });

  test('a cordoned agent grants nothing and refuses, until it recovers', () => {
    const rig = new Rig().connect();
    rig.apply({ kind: 'cordon-changed', reason: 'The disk is full' });
    rig.hear(offer('t.1'));
    expect(rig.said('heartbeat').at(-1)?.credits).toBe(0);
    expect(rig.said('reject')).toHaveLength(1);
    rig.apply({ kind: 'cordon-changed', reason: undefined });
    expect(rig.said('heartbeat').at(-1)?.credits).toBe(2);
  });
});

describe('leases', () => {
  test('a side-effecting step that cannot be renewed is stopped before its lease ends', () => {
    const rig = new Rig().connect();
    const granted = rig.now;
    rig.start('t.1', { sideEffects: true });
    rig.breakStream();
    rig.pass(12_000 - (rig.now - granted) - 1);
    expect(rig.did('cancel')).toEqual([]);
    rig.pass(1);
    const [cancel] = rig.did('cancel');
    expect(cancel).toMatchObject({ token: 't.1', class: 'agent-lost' });
    expect(rig.now + (cancel?.graceMs ?? 0)).toBeLessThan(granted + 15_000);
  });

  test('renewal counts from when the heartbeat was sent, not from its answer', () => {
    const rig = new Rig().connect();
    rig.start('t.1', { sideEffects: true });
    rig.pass(5_000);
    const sentAt = rig.now;
    rig.pass(4_000);
    rig.renew('t.1');
    rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
    rig.pass(sentAt + 12_000 - rig.now);
    expect(rig.did('cancel')).toHaveLength(1);
  });

  test('a side-effecting step that only stores its outputs any more is left alone', () => {
    const rig = new Rig().connect();
    rig.start('t.1', { sideEffects: true });
    rig.apply({ kind: 'attempt-exited', token: 't.1' });
    rig.breakStream();
    rig.pass(60_000);
    expect(rig.did('cancel')).toEqual([]);
  });

  test('a side-effecting step that never started is handed back when its lease cannot be renewed', () => {
    const rig = new Rig().connect();
    rig.hear(offer('t.1', { sideEffects: true }));
    rig.apply({ kind: 'attempt-prepared', token: 't.1' });
    rig.breakStream();
    rig.pass(20_000);
    expect(rig.did('run')).toEqual([]);
    expect(rig.did('cancel')).toMatchObject([{ class: 'agent-stop' }]);
  });

  test('a pure step goes on beyond its lease and offers its result', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.breakStream();
    rig.pass(60_000);
    rig.finish('t.1');
    expect(rig.did('cancel')).toEqual([]);
    rig.apply({ kind: 'connected', stream: rig.stream });
    expect(rig.said('register').at(-1)?.held).toEqual([{ token: 't.1', phase: { kind: 'finished', report: SUCCEEDED } }]);
  });

  test('a cancel verdict stops the step and its report goes out', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.hear({ kind: 'heartbeat-reply', leases: [{ token: 't.1', verdict: 'cancel' }] });
    expect(rig.did('cancel')).toMatchObject([{ token: 't.1', class: 'cancelled', graceMs: 10_000 }]);
    const report: AttemptReport = { kind: 'failed', class: 'cancelled', message: '', result: undefined };
    rig.apply({ kind: 'attempt-finished', token: 't.1', report });
    expect(rig.said('finished')).toEqual([{ kind: 'finished', token: 't.1', report }]);
  });

  test('a lost lease is stopped and its result is dropped', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.hear({ kind: 'heartbeat-reply', leases: [{ token: 't.1', verdict: 'lost' }] });
    expect(rig.did('cancel')).toMatchObject([{ token: 't.1', graceMs: 1_000 }]);
    rig.finish('t.1');
    expect(rig.said('finished')).toEqual([]);
    rig.breakStream();
    rig.apply({ kind: 'connected', stream: rig.stream });
    expect(rig.said('register').at(-1)?.held).toEqual([]);
  });

  test('a lost lease keeps its slot until nothing of it is left, and is not told as held', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.hear({ kind: 'heartbeat-reply', leases: [{ token: 't.1', verdict: 'lost' }] });
    rig.pass(5_000);
    expect(rig.said('heartbeat').at(-1)).toEqual({ kind: 'heartbeat', tokens: [], credits: 1 });
  });

  test('a cancel of the coordinator has its own grace and is carried out once', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.hear({ kind: 'cancel', token: 't.1', reason: 'asked to', graceMs: 3_000 });
    rig.hear({ kind: 'cancel', token: 't.1', reason: 'asked to', graceMs: 3_000 });
    expect(rig.did('cancel')).toEqual([{ kind: 'cancel', token: 't.1', class: 'cancelled', message: 'asked to', graceMs: 3_000 }]);
  });
});

describe('results', () => {
  test('a result is journalled before it is sent, and kept until it is answered', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    expect(rig.did('keep')).toEqual([{ kind: 'keep', token: 't.1', report: SUCCEEDED }]);
    expect(rig.did('forget')).toEqual([]);
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'accepted' });
    expect(rig.did('forget')).toEqual([{ kind: 'forget', token: 't.1' }]);
  });

  test.for(['accepted', 'already-accepted', 'fenced'] as const)('%s ends the matter', (verdict) => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.hear({ kind: 'result-reply', token: 't.1', verdict });
    rig.hear({ kind: 'result-reply', token: 't.1', verdict });
    expect(rig.did('forget')).toHaveLength(1);
  });

  test('a result without an answer is sent again', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.pass(5_000);
    rig.renew('t.1');
    rig.pass(5_000);
    expect(rig.said('finished')).toHaveLength(2);
  });

  test('after a reconnect held results are told and sent again, until they are answered', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.breakStream();
    rig.connect({ held: [{ token: 't.1', verdict: 'continue' }] });
    expect(rig.said('finished')).toHaveLength(2);
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'already-accepted' });
    expect(rig.did('forget')).toHaveLength(1);
  });

  test('a held lease that the coordinator calls lost is dropped', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.start('t.2');
    rig.breakStream();
    rig.connect({
      held: [
        { token: 't.1', verdict: 'lost' },
        { token: 't.2', verdict: 'lost' },
      ],
    });
    expect(rig.did('forget')).toEqual([{ kind: 'forget', token: 't.1' }]);
    expect(rig.did('cancel')).toMatchObject([{ token: 't.2' }]);
  });

  test('results of an earlier life are offered on registration and take no slot', () => {
    const rig = new Rig({}, [{ token: 'old.1', report: SUCCEEDED, logBytes: 10 }]);
    rig.connect({ held: [{ token: 'old.1', verdict: 'continue' }], logs: [{ token: 'old.1', offset: 4 }] });
    expect(rig.said('register')[0]).toMatchObject({ credits: 2, held: [{ token: 'old.1', phase: { kind: 'finished' } }] });
    expect(rig.sends.slice(1)).toEqual([
      { kind: 'log', token: 'old.1', offset: 4, length: 6 },
      { kind: 'finished', token: 'old.1', report: SUCCEEDED },
    ]);
  });
});

describe('logs', () => {
  test('a log goes out in pieces, as far as the window allows', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 200 * 1024 });
    expect(rig.said('log').map(({ offset, length }) => [offset, length])).toEqual([
      [0, LOG_CHUNK_BYTES],
      [LOG_CHUNK_BYTES, LOG_CHUNK_BYTES],
    ]);
    rig.hear({ kind: 'log-ack', token: 't.1', offset: LOG_CHUNK_BYTES });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 2 * LOG_CHUNK_BYTES, length: LOG_CHUNK_BYTES });
  });

  test('after a reconnect the log goes on where the coordinator wants it', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 40 });
    rig.breakStream();
    rig.connect({ held: [{ token: 't.1', verdict: 'continue' }], logs: [{ token: 't.1', offset: 20 }] });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 20, length: 80 });
  });

  test('without an offset it goes on behind the last acknowledged byte', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 40 });
    rig.breakStream();
    rig.connect({ held: [{ token: 't.1', verdict: 'continue' }] });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 40, length: 60 });
  });

  test('an acknowledgement that goes back is obeyed', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 30 });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 30, length: 70 });
  });

  test('repeats of an acknowledgement bring the bytes again, but not at once', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 0 });
    expect(rig.said('log')).toHaveLength(1);
    rig.pass(5_000);
    rig.renew('t.1');
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 0 });
    expect(rig.said('log')).toHaveLength(2);
  });

  test('the result waits for its log, but not longer than a heartbeat', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 200 * 1024 });
    rig.finish('t.1');
    expect(rig.said('finished')).toEqual([]);
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 128 * 1024 });
    expect(rig.sends.slice(-2).map((message) => message.kind)).toEqual(['log', 'finished']);

    const stuck = new Rig().connect();
    stuck.start('t.1');
    stuck.apply({ kind: 'log-grew', token: 't.1', size: 200 * 1024 });
    stuck.finish('t.1');
    stuck.pass(5_000);
    expect(stuck.said('finished')).toHaveLength(1);
  });
});

describe('leaving', () => {
  test('a drain hands back what does not run, finishes what runs, then leaves', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.hear(offer('t.2'));
    rig.apply({ kind: 'drain-requested', reason: 'SIGTERM' });
    expect(rig.did('cancel')).toMatchObject([{ token: 't.2', class: 'agent-stop' }]);
    expect(rig.said('draining')).toHaveLength(1);
    rig.hear(offer('t.3'));
    expect(rig.said('reject')).toMatchObject([{ token: 't.3' }]);
    rig.apply({ kind: 'attempt-finished', token: 't.2', report: { kind: 'failed', class: 'agent-stop', message: '', result: undefined } });
    rig.hear({ kind: 'result-reply', token: 't.2', verdict: 'accepted' });
    rig.finish('t.1');
    expect(rig.ended).toBeUndefined();
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'accepted' });
    expect(rig.ended).toEqual({ ok: true, reason: 'SIGTERM' });
    expect(rig.sends.at(-1)).toEqual({ kind: 'leaving' });
  });

  test('an idle agent drains at once', () => {
    const rig = new Rig().connect();
    rig.hear({ kind: 'drain', reason: 'maintenance' });
    expect(rig.ended).toEqual({ ok: true, reason: 'maintenance' });
  });

  test('a drain that takes too long becomes a stop', () => {
    const rig = new Rig({ drainTimeoutMs: 3_000 }).connect();
    rig.start('t.1');
    rig.apply({ kind: 'drain-requested', reason: 'SIGTERM' });
    rig.pass(3_000);
    expect(rig.did('cancel')).toMatchObject([{ token: 't.1', class: 'agent-stop', graceMs: 5_000 }]);
  });

  test('a stop stops what runs, reports it and leaves', () => {
    const rig = new Rig().connect();
    rig.start('t.1', { graceMs: 2_000 });
    rig.apply({ kind: 'drain-requested', reason: 'SIGTERM' });
    rig.apply({ kind: 'stop-requested', reason: 'SIGTERM again' });
    expect(rig.did('cancel')).toMatchObject([{ token: 't.1', class: 'agent-stop', graceMs: 2_000 }]);
    rig.apply({ kind: 'attempt-finished', token: 't.1', report: { kind: 'failed', class: 'agent-stop', message: '', result: undefined } });
    expect(rig.said('finished')).toHaveLength(1);
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'accepted' });
    expect(rig.ended?.ok).toBe(true);
    expect(rig.sends.at(-1)).toEqual({ kind: 'leaving' });
  });

  test('a stop ends in time, whatever does not', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'stop-requested', reason: 'x' });
    rig.pass(10_000);
    expect(rig.ended).toBeDefined();
  });

  test('a stop without a coordinator ends as soon as nothing runs', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
    rig.apply({ kind: 'stop-requested', reason: 'x' });
    expect(rig.ended).toBeUndefined();
    rig.finish('t.1');
    expect(rig.ended).toBeDefined();
  });

  test('nothing happens after the end', () => {
    const rig = new Rig().connect();
    rig.apply({ kind: 'drain-requested', reason: 'x' });
    const outcome = rig.hear(offer('t.1'));
    expect(outcome).toMatchObject({ commands: [], sends: [], wakeAt: undefined });
  });
});

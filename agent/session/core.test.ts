import { describe, expect, test } from 'vitest';
import type { AttemptReport } from '../../cache/action/result.ts';
import { offer, PROFILE, Rig, SUCCEEDED } from '../../test/fixtures/session-rig.ts';

describe('registration', () => {
  test('the first message says who the agent is and what it holds', () => {
    const rig = new Rig().connect();
    expect(rig.sends[0]).toEqual({
      kind: 'register',
      agentId: 'edge-1',
      bootId: 'boot-1',
      protocolMin: 1,
      protocolMax: 2,
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
    expect(rig.ended?.ok).toBe(false);
    expect(rig.ended?.reason).toMatch(/^The coordinator refuses this agent: no/);
    expect(rig.ended?.reason.includes('--token-file')).toBe(code === 'UNAUTHENTICATED');
  });

  test('an agent that was registered before outlives a rejected token', () => {
    const rig = new Rig().connect();
    rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'UNAUTHENTICATED', message: 'no' });
    expect(rig.ended).toBeUndefined();
  });

  test('a protocol that the agent does not speak ends it', () => {
    const rig = new Rig().connect({ protocol: 3 });
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
      expect((rig.wakeAt ?? 0) - rig.now).toBeLessThanOrEqual(Math.min(2_000, 200 * 2 ** dials));
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

  test('the deadline of a side-effecting step is told when it starts and moves with every renewal, while it stops too', () => {
    const rig = new Rig().connect();
    const begun = rig.now;
    rig.start('t.1', { sideEffects: true });
    rig.start('t.2');
    rig.pass(5_000);
    rig.renew('t.1', 't.2');
    rig.pass(5_000);
    rig.hear({ kind: 'heartbeat-reply', leases: [{ token: 't.1', verdict: 'cancel' }] });
    expect(rig.did('run').map(({ token, deadline }) => [token, deadline])).toEqual([
      ['t.1', begun + 15_000 - 1_500],
      ['t.2', undefined],
    ]);
    const told = rig.did('extend').map(({ token, deadline }) => [token, deadline - begun]);
    expect(told.at(-1)).toEqual(['t.1', 10_000 + 15_000 - 1_500]);
    expect(told.map(([token]) => token)).toEqual(['t.1', 't.1']);
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

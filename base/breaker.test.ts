import { describe, expect, it } from 'vitest';
import { openBreaker, type BreakerRules } from './breaker.ts';
import { Fault } from './fault.ts';
import { prngFrom } from './prng.ts';

const rules: BreakerRules = {
  faultsInRow: 3,
  faultRate: 0.5,
  windowMs: 1_000,
  windowCallsMin: 6,
  openMs: { initial: 1_000, max: 4_000 },
};

function rig() {
  let time = 0;
  const changes: string[] = [];
  const clock = { now: () => 1_000_000 + time, monotonic: () => time };
  const breaker = openBreaker({
    dependency: 'store',
    code: 'STORE_UNAVAILABLE',
    clock,
    prng: prngFrom(1),
    rules,
    onChange: ({ kind }) => changes.push(kind),
  });
  const ask = async (call: () => Promise<string>): Promise<string> => {
    try {
      return await breaker.run(call);
    } catch (thrown) {
      return thrown instanceof Fault ? thrown.code : 'thrown';
    }
  };
  const fail = (error: unknown = new Fault('PEER_UNAVAILABLE', 'connection refused')) =>
    ask(async () => {
      throw error;
    });
  const succeed = () => ask(async () => 'well');
  return { breaker, fail, succeed, changes, pass: (ms: number) => (time += ms) };
}

describe('a breaker', () => {
  it('opens after faults in a row, refuses with the reason and the time, and makes no call meanwhile', async () => {
    const { breaker, fail, pass } = rig();
    pass(5);
    for (let call = 0; call < 3; call += 1) expect(await fail()).toBe('PEER_UNAVAILABLE');
    let called = false;
    const refused = breaker.run(async () => (called = true));
    await expect(refused).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('connection refused') });
    expect(called).toBe(false);
    const view = breaker.view();
    expect(view).toMatchObject({
      kind: 'open',
      since: 1_000_005,
      lastFault: 'connection refused',
      counts: { opened: 1, faults: 3, refused: 1 },
    });
    expect(view.openForMs).toBeGreaterThanOrEqual(500);
    expect(view.openForMs).toBeLessThanOrEqual(1_000);
  });

  it('lets exactly one call through when its time is over, and closes when that one goes well', async () => {
    const { breaker, fail, succeed, pass, changes } = rig();
    for (let call = 0; call < 3; call += 1) await fail();
    pass(1_000);
    expect(breaker.refusal()).toBeUndefined();
    const end = breaker.begin();
    expect(await succeed()).toBe('STORE_UNAVAILABLE');
    end();
    expect(await succeed()).toBe('well');
    expect(changes).toEqual(['open', 'half-open', 'closed']);
  });

  it('stays away for longer after each failed probe, up to its bound, and remembers when the outage began', async () => {
    const { breaker, fail, pass } = rig();
    for (let call = 0; call < 3; call += 1) await fail();
    const openFor: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      openFor.push(breaker.view().openForMs);
      pass(breaker.view().openForMs);
      await fail();
    }
    expect(openFor[1]).toBeGreaterThan(999);
    expect(openFor[2]).toBeGreaterThan(1_999);
    for (const ms of openFor.slice(3)) expect(ms).toBeLessThanOrEqual(4_000);
    expect(breaker.view()).toMatchObject({ since: 1_000_000, counts: { opened: 1 } });
  });

  it('opens when too large a part of the calls fails, even with successes between', async () => {
    const { breaker, fail, succeed } = rig();
    for (let round = 0; round < 2; round += 1) {
      await fail();
      await succeed();
    }
    await succeed();
    expect(breaker.view().kind).toBe('closed');
    await fail();
    expect(breaker.view().kind).toBe('open');
  });

  it('forgets what lies further back than its window', async () => {
    const { breaker, fail, succeed, pass } = rig();
    for (let round = 0; round < 2; round += 1) {
      await fail();
      await succeed();
    }
    pass(2_000);
    await succeed();
    await fail();
    await fail();
    expect(breaker.view().kind).toBe('closed');
  });

  it("does not count the caller's own mistakes, nor calls that the caller gave up", async () => {
    const { breaker, fail } = rig();
    for (let call = 0; call < 10; call += 1) {
      await fail(new Fault('BLOB_UNKNOWN', 'no such blob'));
      await fail(new Fault('CANCELLED', 'gave up'));
      await fail(new TypeError('a bug'));
    }
    expect(breaker.view()).toMatchObject({ kind: 'closed', counts: { faults: 0 } });
    await fail(new DOMException('late', 'TimeoutError'));
    await fail(new DOMException('late', 'TimeoutError'));
    await fail(new Fault('CANCELLED', 'gave up', { cause: new DOMException('late', 'TimeoutError') }));
    expect(breaker.view().kind).toBe('open');
  });

  it('lets another probe through when the caller gave up on the first one', async () => {
    const { breaker, fail, succeed, pass } = rig();
    for (let call = 0; call < 3; call += 1) await fail();
    pass(1_000);
    breaker.begin()(new Fault('CANCELLED', 'gave up'));
    expect(breaker.view().kind).toBe('half-open');
    expect(await succeed()).toBe('well');
    expect(breaker.view().kind).toBe('closed');
  });

  it('gives calls of before it opened no say', async () => {
    const { breaker, fail } = rig();
    const end = breaker.begin();
    for (let call = 0; call < 3; call += 1) await fail();
    end();
    expect(breaker.view().kind).toBe('open');
  });
});

import { describe, expect, it } from 'vitest';
import { openBreaker } from '../../base/breaker.ts';
import { systemClock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { prngFrom } from '../../base/prng.ts';
import { retrier, type Guard } from './retry.ts';

function rig(whileOpen: Guard['whileOpen'], openMs = 60_000) {
  const breaker = openBreaker({
    dependency: 'store',
    code: 'STORE_UNAVAILABLE',
    clock: systemClock,
    prng: prngFrom(1),
    rules: { faultsInRow: 3, openMs: { initial: openMs, max: openMs } },
  });
  const tries = retrier({
    prng: prngFrom(2),
    clock: systemClock,
    patienceMs: 20_000,
    beforeRetry: async () => {},
    guard: { breaker, whileOpen },
  });
  return { breaker, tries };
}

const never = new AbortController().signal;
const down = () => Promise.reject(new Fault('PEER_UNAVAILABLE', 'connection refused'));

describe('calls to a guarded server', () => {
  it('are refused at once, with the time to come back, where the caller does not wait', async () => {
    const { tries } = rig('refuse');
    let calls = 0;
    const call = () => {
      calls += 1;
      return down();
    };
    for (let round = 0; round < 2; round += 1) {
      const failed = tries.retrying(call, never);
      await expect(failed).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('connection refused') });
      await expect(failed).rejects.toHaveProperty('retryAfterMs', expect.any(Number));
    }
    expect(calls).toBe(3);
  });

  it('wait for it without calling, and go on when it is back, where the caller has patience', async () => {
    const { tries, breaker } = rig('wait', 300);
    let calls = 0;
    let refusedCalls = 0;
    const call = async () => {
      calls += 1;
      if (breaker.view().kind === 'open') refusedCalls += 1;
      return calls <= 3 ? await down() : 'back';
    };
    expect(await tries.retrying(call, never)).toBe('back');
    expect(calls).toBe(4);
    expect(refusedCalls).toBe(0);
    expect(breaker.view().kind).toBe('closed');
  });

  it('of streams wait for leave before their source is touched', async () => {
    const { tries, breaker } = rig('wait', 200);
    for (let call = 0; call < 3; call += 1) breaker.begin()(new Fault('DEADLINE', 'late'));
    const end = await tries.tries().admitted(never);
    expect(breaker.view().kind).toBe('half-open');
    end();
    expect(breaker.view().kind).toBe('closed');
  });
});

import { describe, expect, test } from 'vitest';
import { Rig } from '../../test/fixtures/session-rig.ts';

const THREE = ['a:1', 'b:1', 'c:1'];

/** An agent that dials its first coordinator. */
function dialling(coordinators: readonly string[] = THREE, seed = 1): Rig {
  const rig = new Rig({}, [], coordinators, seed);
  rig.apply({ kind: 'woke' });
  return rig;
}

function breaks(rig: Rig): void {
  rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
}

/** The dialled coordinator answers that another one leads, or nobody. */
function sentOn(rig: Rig, leaderAddress?: string): void {
  rig.apply({ kind: 'connected', stream: rig.stream });
  const leader = leaderAddress === undefined ? {} : { leaderAddress };
  rig.hear({ kind: 'refused', retry: true, reason: 'follows', ...leader });
}

describe('several coordinators', () => {
  test('are each tried once, without a wait between them, and then comes the wait', () => {
    const rig = dialling();
    const tried = [rig.address];
    for (let more = 0; more < 2; more += 1) {
      breaks(rig);
      tried.push(rig.address);
    }
    expect(tried.toSorted()).toEqual(THREE);
    const dials = rig.did('dial').length;
    breaks(rig);
    expect(rig.did('dial')).toHaveLength(dials);
    expect(rig.wakeAt).toBeGreaterThan(rig.now);
    rig.pass(200);
    expect(rig.did('dial')).toHaveLength(dials + 1);
  });

  test('are begun with at random, so that agents spread over them', () => {
    const first = Array.from({ length: 60 }, (_, seed) => dialling(THREE, seed).address);
    for (const address of THREE) expect(first.filter((it) => it === address).length).toBeGreaterThan(8);
  });

  test('the last good one comes first after a break', () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const rig = dialling(THREE, seed);
      breaks(rig);
      const good = rig.address;
      rig.connect();
      rig.pass(3_000);
      rig.breakStream();
      expect(rig.address).toBe(good);
    }
  });

  test('one that leaves heartbeats unanswered is given up after one, and tried last', () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const rig = dialling(THREE, seed);
      const silent = rig.address;
      rig.connect();
      rig.pass(5_000);
      expect(rig.did('hang-up')).toHaveLength(0);
      rig.pass(6_000);
      expect(rig.did('hang-up')).toHaveLength(1);
      const tried = [rig.address];
      for (let more = 0; more < 2; more += 1) {
        breaks(rig);
        tried.push(rig.address);
      }
      expect(new Set(tried)).toEqual(new Set(THREE));
      expect(tried.at(-1)).toBe(silent);
    }
  });

  test('the waits between rounds grow, not those between addresses', () => {
    const rig = dialling();
    for (let dial = 0; dial < 60; dial += 1) {
      breaks(rig);
      rig.pass(2_000);
    }
    const rounds = rig.did('dial').length / THREE.length;
    expect(rounds).toBeGreaterThan(20);
    expect(rounds).toBeLessThan(22);
  });
});

describe('a redirection', () => {
  test('is followed at once', () => {
    const rig = dialling();
    sentOn(rig, 'leader:1');
    expect(rig.address).toBe('leader:1');
    rig.connect();
    expect(rig.said('register')).toHaveLength(2);
  });

  test('makes the leader the first to be tried next time', () => {
    const rig = dialling();
    sentOn(rig, 'leader:1');
    rig.connect();
    rig.pass(3_000);
    rig.breakStream();
    expect(rig.address).toBe('leader:1');
  });

  test('in circles ends: three are followed, then the others are tried, then comes a wait', () => {
    const rig = dialling();
    const tried: string[] = [];
    for (let hop = 0; hop < 20; hop += 1) {
      tried.push(rig.address);
      const stream = rig.stream;
      sentOn(rig, rig.address === 'x:1' ? 'y:1' : 'x:1');
      if (rig.stream === stream) break;
    }
    expect(tried).toHaveLength(THREE.length + 3);
    expect(new Set(tried)).toEqual(new Set([...THREE, 'x:1', 'y:1']));
    expect(rig.wakeAt).toBeGreaterThan(rig.now);
  });

  test('to itself is none', () => {
    const rig = dialling(['a:1']);
    sentOn(rig, 'a:1');
    expect(rig.did('dial')).toHaveLength(1);
    expect(rig.wakeAt).toBeGreaterThan(rig.now);
  });

  test('to a leader that is dead costs one dial, then the list goes on', () => {
    const rig = dialling();
    const first = rig.address;
    sentOn(rig, 'dead:1');
    breaks(rig);
    expect(THREE.filter((address) => address !== first)).toContain(rig.address);
  });

  test('out of a session is followed after a wait, since all other agents got it too', () => {
    const rig = dialling().connect();
    rig.pass(3_000);
    const dials = rig.did('dial').length;
    rig.hear({ kind: 'refused', retry: true, reason: 'steps down', leaderAddress: 'leader:1' });
    expect(rig.did('dial')).toHaveLength(dials);
    rig.pass(200);
    expect(rig.address).toBe('leader:1');
  });
});

describe('a refusal for good', () => {
  const refuse = (rig: Rig) => {
    rig.apply({ kind: 'connected', stream: rig.stream });
    rig.hear({ kind: 'refused', retry: false, reason: 'too old' });
  };

  test('counts once all have said so', () => {
    const rig = dialling();
    refuse(rig);
    refuse(rig);
    expect(rig.ended).toBeUndefined();
    refuse(rig);
    expect(rig.ended).toEqual({ ok: false, reason: 'The coordinator refuses this agent: too old' });
  });

  test('of some, while others are away, does not', () => {
    const rig = dialling();
    for (let round = 0; round < 4; round += 1) {
      refuse(rig);
      breaks(rig);
      refuse(rig);
      expect(rig.ended).toBeUndefined();
      rig.pass(2_000);
    }
  });

  test('in a session counts at once: another agent has the id', () => {
    const rig = dialling().connect();
    rig.hear({ kind: 'refused', retry: false, reason: 'another agent has registered under the same id' });
    expect(rig.ended?.ok).toBe(false);
  });
});

test('256 agents that lose a coordinator at the same moment spread their dials over the waits', () => {
  const rigs = Array.from({ length: 256 }, (_, seed) => dialling(['a:1'], seed + 1).connect());
  const times: number[][] = [[], [], []];
  for (const rig of rigs) {
    rig.pass(3_000);
    for (const round of times) {
      const dials = rig.did('dial').length;
      breaks(rig);
      const waits = rig.did('dial').length === dials;
      round.push(waits ? (rig.wakeAt ?? 0) - rig.now : 0);
      if (waits) rig.pass((rig.wakeAt ?? 0) - rig.now);
    }
  }
  for (const [round, windowMs] of [200, 400, 800].entries()) {
    const waits = (times[round] ?? []).toSorted((a, b) => a - b);
    const quantile = (q: number) => (waits[Math.floor(q * (waits.length - 1))] ?? 0) / windowMs;
    for (const q of [0.1, 0.25, 0.5, 0.75, 0.9]) expect(Math.abs(quantile(q) - q)).toBeLessThan(0.12);
    expect(Math.max(...waits)).toBeLessThan(windowMs);
  }
});

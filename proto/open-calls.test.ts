import { expect, test } from 'vitest';
import type { Identity } from '../base/auth.ts';
import { exchangeableDenials } from '../base/denials.ts';
import type { Fault } from '../base/fault.ts';
import { agentUri } from '../base/spiffe.ts';
import { until } from '../test/fixtures/until.ts';
import { openOpenCalls } from './open-calls.ts';

const agent = (id: string, validTo: number): Identity => {
  const name = { zone: 'trusted', cluster: 'c', pool: 'p', id } as const;
  return { kind: 'agent', name: `c/p/${id}`, ...name, certificate: { uri: agentUri('yard', name), serial: 'AB', validTo } };
};

function started() {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const denials = exchangeableDenials(clock.now);
  const calls = openOpenCalls(clock, denials);
  const ended = new Map<string, Fault>();
  const open = (name: string, identity: Identity) => calls.opened(identity, (fault) => ended.set(name, fault));
  return { calls, denials, ended, open, pass: (ms: number) => void (now += ms), [Symbol.dispose]: () => calls[Symbol.dispose]() };
}

test('a stream ends with the newest certificate that its agent has shown, and no other agent can show it one', async () => {
  using served = started();
  served.open('renewed', agent('a', 100));
  served.open('forgotten', agent('b', 100));
  served.calls.seen(agent('a', 200));
  served.pass(100);
  await until('the other one is ended', () => served.ended.has('forgotten'));
  expect([...served.ended.keys()]).toEqual(['forgotten']);
  expect(served.ended.get('forgotten')).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('/agent/b expired at') });
  served.pass(100);
  await until('the renewed one is ended, too', () => served.ended.has('renewed'));
});

test('an older certificate takes nothing away from a newer one', async () => {
  using served = started();
  served.open('newer', agent('a', 200));
  served.open('older', agent('a', 100));
  served.open('other', agent('b', 100));
  served.pass(150);
  await until('somebody is ended', () => served.ended.size > 0);
  expect([...served.ended.keys()]).toEqual(['other']);
});

test('a revoked identity loses what it has open at once, and nobody else does', () => {
  using served = started();
  served.open('agent', agent('a', 1_000));
  served.open('neighbour', agent('b', 1_000));
  using ended = served.open('over', agent('a', 1_000));
  ended[Symbol.dispose]();
  served.denials.exchange([{ subject: 'agent:a', reason: 'stolen', by: 'ann', at: 0 }]);
  expect([...served.ended]).toEqual([['agent', expect.objectContaining({ message: 'agent:a was revoked by ann: stolen' })]]);
});

test.for([
  ['agent:a', true],
  ['agent:b', false],
  ['pool:c/p', true],
  ['pool:c/q', false],
  ['cluster:c', true],
  ['serial:AB', true],
  ['serial:AC', false],
  ['spiffe://yard/zone/trusted/cluster/c/pool/p/agent/a', true],
  ['spiffe://yard/zone/production/cluster/c/pool/p/agent/a', false],
  ['token:c/p/a', false],
] as const)('%s refuses the agent a of c/p: %s', ([subject, refused]) => {
  const denials = exchangeableDenials(() => 50);
  denials.exchange([{ subject, reason: '', by: 'ann', at: 0 }]);
  expect(denials.refusal(agent('a', 100)) !== undefined).toBe(refused);
  denials.exchange([{ subject, reason: '', by: 'ann', at: 0, until: 50 }]);
  expect(denials.refusal(agent('a', 100))).toBeUndefined();
});

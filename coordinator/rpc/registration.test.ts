import { expect, test } from 'vitest';
import type { Register } from '../../proto/gen/switchyard/v1/Register.ts';
import { loadProto } from '../../proto/load.ts';
import { registrationFromProto, type AgentIdentity } from './registration.ts';

const IDENTITY: AgentIdentity = { kind: 'agent', name: 'edge', cluster: 'c1', pool: 'edge', zone: 'untrusted' };
const codec = loadProto().switchyard.v1.Register;

function registration(over: Register = {}) {
  const message = { agentId: 'a-1', bootId: 'boot', protocolMin: 1, protocolMax: 1, capacity: { slots: 2 }, credits: 2, ...over };
  return registrationFromProto(codec.deserialize(codec.serialize(message)), IDENTITY, () => 'work/deep');
}

test('labels of trust come from the credential', () => {
  expect(registration({ labels: { arch: 'arm64', zone: 'untrusted' } }).facts.labels).toEqual({
    arch: 'arm64',
    cluster: 'c1',
    pool: 'edge',
    zone: 'untrusted',
  });
});

test.for(['cluster', 'pool', 'zone'])('an agent that claims another %s is refused', (key) => {
  expect(() => registration({ labels: { [key]: 'production' } })).toThrow(
    expect.objectContaining({ code: 'FORBIDDEN', field: `register.labels["${key}"]` }),
  );
});

test.for<[number, number, number | undefined]>([
  [1, 1, 1],
  [1, 3, 2],
  [2, 5, 2],
  [3, 5, undefined],
  [0, 0, undefined],
])('protocol %i to %i is answered with %s', ([protocolMin, protocolMax, chosen]) => {
  if (chosen === undefined)
    expect(() => registration({ protocolMin, protocolMax })).toThrow(expect.objectContaining({ code: 'PROTOCOL_UNSUPPORTED' }));
  else expect(registration({ protocolMin, protocolMax }).protocol).toBe(chosen);
});

test.for<[Register, string]>([
  [{ agentId: 'Not An Id' }, 'register.agent_id'],
  [{ bootId: '' }, 'register.boot_id'],
  [{ capacity: { slots: 0 } }, 'register.capacity.slots'],
  [{ credits: -1 }, 'register.credits'],
  [{ labels: { 'a b': 'c' } }, 'register.labels'],
  [{ labels: { a: 'b c' } }, 'register.labels["a"]'],
  [{ labels: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, 'x'])) }, 'register.labels'],
  [{ held: [{ token: 'nonsense' }] }, 'register.held[0].token'],
])('%j is refused, naming the field', ([over, field]) => {
  expect(() => registration(over)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', field }));
});

test('a held result that is malformed ends its attempt as an error of the agent, not the session', () => {
  const { held } = registration({ held: [{ token: 'ab.1', finished: { failureClass: 'FAILURE_CLASS_UNSPECIFIED' } }] });
  expect(held[0]?.phase).toMatchObject({ kind: 'finished', report: { kind: 'failed', class: 'sandbox-error' } });
});

test('who made a result is the agent that reports it, whatever name the report gives', () => {
  const finished = { result: { usage: {}, agent: 'somebody-else' } };
  expect(registration({ held: [{ token: 'ab.1', finished }] }).held[0]?.phase).toMatchObject({ report: { result: { agent: 'a-1' } } });
  const failed = { ...finished, failureClass: 'FAILURE_CLASS_EXIT' } as const;
  expect(registration({ held: [{ token: 'ab.1', finished: failed }] }).held[0]?.phase).toMatchObject({
    report: { result: { agent: 'a-1' } },
  });
});

test('a report is bounded: a message without end is cut, outputs without end are an error of the agent', () => {
  const finished = (over: object) => registration({ held: [{ token: 'ab.1', finished: over }] }).held[0]?.phase;
  const long = finished({ failureClass: 'FAILURE_CLASS_EXIT', message: 'x'.repeat(1_000_000) });
  expect(long?.kind === 'finished' && long.report.kind === 'failed' ? long.report.message.length : 0).toBe(4_096);
  const outputs = Array.from({ length: 1_001 }, (_, index) => ({ path: `o${index}`, symlink: { target: 'x' } }));
  expect(finished({ result: { outputs, usage: {} } })).toMatchObject({
    report: { class: 'sandbox-error', message: expect.stringContaining('1001 entries') },
  });
});

test.for([
  ['out', 'succeeded'],
  ['../../out', 'succeeded'],
  ['../../../out', 'failed'],
] as const)('an output at %s of a step that works two directories down has %s', ([path, kind]) => {
  const result = { outputs: [{ path, symlink: { target: 'x' } }], usage: {} };
  const { held } = registration({ held: [{ token: 'ab.1', finished: { result } }] });
  expect(held[0]?.phase).toMatchObject({ kind: 'finished', report: { kind } });
});

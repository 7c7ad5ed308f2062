import { describe, expect, test } from 'vitest';
import { NO_USAGE, type AttemptReport } from '../../cache/action/result.ts';
import type { AgentMessage as AgentMessageProto } from '../../proto/gen/switchyard/v1/AgentMessage.ts';
import type { AgentMessage__Output } from '../../proto/gen/switchyard/v1/AgentMessage.ts';
import type { CoordinatorMessage } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import type { CoordinatorMessage__Output } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import { loadProto } from '../../proto/load.ts';
import { offerOf } from '../../test/fixtures/scripted-coordinator.ts';
import { isFault } from '../../base/fault.ts';
import type { AgentMessage } from '../session/message.ts';
import { agentMessageToProto, coordinatorMessageFromProto } from './convert.ts';

const { switchyard } = loadProto();
const bytes = Buffer.from('the whole log');
const readLog = (_token: string, offset: number, length: number) => bytes.subarray(offset, offset + length);

/** As the other side sees it: through the codec of the wire. */
function received(message: AgentMessageProto | undefined): AgentMessage__Output {
  const codec = switchyard.v1.AgentMessage;
  return codec.deserialize(codec.serialize(message ?? {}));
}

function fromWire(message: CoordinatorMessage): ReturnType<typeof coordinatorMessageFromProto> {
  const codec = switchyard.v1.CoordinatorMessage;
  const wire: CoordinatorMessage__Output = codec.deserialize(codec.serialize(message));
  return coordinatorMessageFromProto(wire);
}

function faultOf(message: CoordinatorMessage): string {
  try {
    fromWire(message);
  } catch (error) {
    if (isFault(error, 'BAD_REQUEST')) return error.field ?? '';
    throw error;
  }
  return expect.unreachable('it was taken');
}

const REGISTERED = {
  protocol: 1,
  epoch: '3',
  leaseTtlMs: '15000',
  heartbeatMs: '5000',
  offerTtlMs: '2000',
  logWindowBytes: '9007199254740991',
};
const SUCCEEDED: AttemptReport = {
  kind: 'succeeded',
  result: { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 1, endedAt: 2 },
};

describe('what the agent says', () => {
  test('held leases keep their phase', () => {
    const held = [
      { token: 'a.1', phase: { kind: 'accepted' } },
      { token: 'a.2', phase: { kind: 'started' } },
      { token: 'a.3', phase: { kind: 'finished', report: SUCCEEDED } },
    ] as const;
    const capacity = { cpuMillis: 1, memoryBytes: 2 ** 40, slots: 3, custom: { gpu: 1 } };
    const rest = {
      agentId: 'a',
      bootId: 'b',
      protocolMin: 1,
      protocolMax: 1,
      labels: { x: 'y' },
      credits: 3,
      version: '1',
      draining: true,
    };
    const { register } = received(agentMessageToProto({ kind: 'register', capacity, sandbox: ['limitsPids'], held, ...rest }, readLog));
    expect(register).toMatchObject({
      ...rest,
      capacity: { memoryBytes: '1099511627776', custom: { gpu: '1' } },
      sandbox: ['SANDBOX_TRAIT_LIMITS_PIDS'],
      held: [
        { token: 'a.1', started: false, finished: null },
        { token: 'a.2', started: true, finished: null },
        { token: 'a.3', started: true, finished: { failureClass: 'FAILURE_CLASS_UNSPECIFIED' } },
      ],
    });
  });

  test('a piece of a log gets its bytes when it leaves, and none is sent for what the spool has dropped', () => {
    const piece: AgentMessage = { kind: 'log', token: 'a.1', offset: 4, length: 5 };
    expect(received(agentMessageToProto(piece, readLog)).log).toEqual({ token: 'a.1', offset: '4', data: Buffer.from('whole') });
    expect(agentMessageToProto(piece, () => new Uint8Array(0))).toBeUndefined();
  });

  test.for<AgentMessage>([
    { kind: 'heartbeat', tokens: ['a.1'], credits: 2, cordonReason: 'the disk is full' },
    { kind: 'accept', token: 'a.1' },
    { kind: 'reject', token: 'a.1', reason: 'full' },
    { kind: 'running', token: 'a.1' },
    { kind: 'draining', reason: 'SIGTERM' },
    { kind: 'leaving' },
  ])('$kind keeps all its fields', (message) => {
    const { kind, ...fields } = message;
    expect(received(agentMessageToProto(message, readLog))[kind]).toEqual(fields);
  });
});

describe('what the coordinator says', () => {
  test('an offer without slots takes one', () => {
    expect(fromWire(offerOf('a.1', ['true'], { resources: {} }))).toMatchObject({ kind: 'offer', token: 'a.1', resources: { slots: 1 } });
  });

  test('verdicts are translated, and those that a newer coordinator may send are left out', () => {
    const leases = [
      { token: 'a.1', verdict: 'CONTINUE' },
      { token: 'a.2', verdict: 'LOST' },
      { token: 'a.3', verdict: 'VERDICT_UNSPECIFIED' },
    ] as const;
    expect(fromWire({ heartbeatReply: { leases: [...leases] } })).toEqual({
      kind: 'heartbeat-reply',
      leases: [
        { token: 'a.1', verdict: 'continue' },
        { token: 'a.2', verdict: 'lost' },
      ],
    });
  });

  test('a message of a kind that is not known is nothing', () => {
    expect(fromWire({})).toBeUndefined();
  });

  test.for<[string, CoordinatorMessage]>([
    ['registered.heartbeat_ms', { registered: { ...REGISTERED, heartbeatMs: '0' } }],
    ['registered.heartbeat_ms', { registered: { ...REGISTERED, heartbeatMs: '15000' } }],
    ['registered.lease_ttl_ms', { registered: { ...REGISTERED, leaseTtlMs: '-1' } }],
    ['offer.command', offerOf('a.1', [])],
    ['offer.input_root', offerOf('a.1', ['true'], { inputRoot: null })],
    ['offer.sandbox[0]', offerOf('a.1', ['true'], { sandbox: ['SANDBOX_TRAIT_UNSPECIFIED'] })],
    ['finished_reply.verdict', { finishedReply: { token: 'a.1' } }],
  ])('a bad %s is named', ([field, message]) => {
    expect(faultOf(message)).toBe(field);
  });
});

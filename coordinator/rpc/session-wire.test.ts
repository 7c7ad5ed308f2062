import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { EMPTY_DIGEST } from '../../cache/digest.ts';
import type { CoordinatorMessage } from '../../proto/gen/switchyard/v1/CoordinatorMessage.ts';
import { loadProto } from '../../proto/load.ts';
import { parseBuildId, parseLeaseToken, stepIdOf } from '../core/ids.ts';
import type { SessionMessage } from '../shell/sessions.ts';
import { PLAIN_STEP } from '../../test/fixtures/plain-step.ts';
import { agentDefinition, batchOf, wireOf } from './session-wire.ts';

const BUILD = present(parseBuildId(`b-${'1'.repeat(26)}`), 'a valid id');
const TOKEN = present(parseLeaseToken(`${'a'.repeat(32)}.1`), 'a valid token');

const toProto = (message: SessionMessage): CoordinatorMessage =>
  message.kind === 'offer'
    ? { offer: { token: message.token, step: message.spec.name }, kind: 'offer' }
    : { drain: { reason: message.kind }, kind: 'drain' };

const offer: SessionMessage = {
  kind: 'offer',
  token: TOKEN,
  step: stepIdOf(BUILD, 'a'),
  attempt: 1,
  leaseTtlMs: 1_000,
  spec: PLAIN_STEP,
  inputRoot: EMPTY_DIGEST,
  instanceName: 'local/main',
  dependencies: [],
};
const drain: SessionMessage = { kind: 'drain', reason: 'upkeep' };

test('what was made ready before is on the wire as what was not', () => {
  const { Session } = loadProto().switchyard.v1.Agent.service;
  const serialize = present(agentDefinition()['Session'], 'the method is there').responseSerialize;
  const ready: SessionMessage = { ...offer, wire: wireOf(toProto(offer)) };
  for (const [plain, prepared] of [
    [[offer], [ready]],
    [
      [drain, offer, drain],
      [drain, ready, drain],
    ],
    [[drain], [drain]],
  ] as const) {
    expect(batchOf(plain, toProto)).not.toBeInstanceOf(Uint8Array);
    const [bytes, others] = [plain, prepared].map((messages) => serialize(batchOf(messages, toProto)));
    expect(others).toEqual(bytes);
    expect(Session.responseDeserialize(present(others, 'bytes')).messages).toHaveLength(plain.length);
  }
});

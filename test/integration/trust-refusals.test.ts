import { expect, test } from 'vitest';
import { Secret } from '../../base/secret.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { startIdentityYard } from '../fixtures/identity-yard.ts';

const never = new AbortController().signal;
const TOPOLOGY = `version: 1
clusters:
  c: {zone: trusted, pools: {p: {class: central}}}
zones: {production: {inputs: trusted}}
`;

test('a build whose outputs of low trust would flow up is refused, with a record of who tried', { timeout: 120_000 }, async () => {
  await using yard = await startIdentityYard();
  const link = { address: yard.address, token: new Secret('admin'), tls: yard.tls };
  const client = dial(loadProto().switchyard.v1.Build, link, 'control');
  await callUnary(client, 'applyTopology', { text: TOPOLOGY, baseDigest: '', reason: '' }, { signal: never });
  client.close();
  const compile = { name: 'compile', command: ['true'], outputs: ['program'], zone: 'ZONE_UNTRUSTED' as const };
  const sign = { name: 'sign', command: ['true'], needs: [{ step: 'compile', outputs: true }], zone: 'ZONE_PRODUCTION' as const };
  const submitted = yard.build().submit({ idempotencyKey: 'up-1', name: 'up', steps: [compile, sign] }, never);
  const message = 'Step "sign" is for zone production and takes the outputs of "compile"';
  await expect(submitted).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining(message) });
  const { records } = await yard.identity().audit({ act: 'call', outcome: 'refused', limit: 100 }, never);
  expect(records).toMatchObject([
    { actor: 'admin', subject: 'switchyard.v1.Build/SubmitBuild', detail: expect.stringContaining(message), count: '1' },
  ]);
});

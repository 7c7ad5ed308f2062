import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Secret } from '../../base/secret.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { startIdentityYard } from '../fixtures/identity-yard.ts';
import { until } from '../fixtures/until.ts';

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

test('a step whose input lost its trust while it was made is not run, with a record of whose it was', { timeout: 120_000 }, async () => {
  await using yard = await startIdentityYard();
  const link = { address: yard.address, token: new Secret('admin'), tls: yard.tls };
  const client = dial(loadProto().switchyard.v1.Build, link, 'control');
  const apply = async (zone: string, baseDigest: string) => {
    const text = `version: 1\nclusters:\n  c: {zone: ${zone}, pools: {p: {class: central}}}\n`;
    await callUnary(client, 'applyTopology', { text, baseDigest, reason: '' }, { signal: never });
    return (await callUnary(client, 'getTopology', {}, { signal: never })).revision?.digest ?? '';
  };
  const high = await apply('production', '');
  const agent = await yard.agent('a1', '--enroll', await yard.token({ zone: 'production' }));
  await agent.session.registered;
  const go = join(yard.dir, 'go');
  const wait = ['sh', '-c', `until [ -e ${go} ]; do sleep 0.1; done; echo made > program`];
  const make = { name: 'make', command: wait, outputs: ['program'], zone: 'ZONE_PRODUCTION' as const };
  const sign = { name: 'sign', command: ['true'], needs: [{ step: 'make', outputs: true }], zone: 'ZONE_PRODUCTION' as const };
  const build = yard.build();
  const { id } = await build.submit({ idempotencyKey: 'low-1', name: 'low', steps: [make, sign] }, never);
  const phaseOf = async (name: string) => (await build.snapshot(id, never)).steps.find((step) => step.name === name)?.phase;
  await until('it runs', async () => (await phaseOf('make')) === 'running');
  await apply('untrusted', high);
  await writeFile(go, '');
  await until('the other one has ended', async () => (await phaseOf('sign')) === 'ended');
  client.close();
  const list = async () => (await yard.identity().audit({ act: 'trust', outcome: 'refused', limit: 100 }, never)).records;
  await until('that is recorded', async () => (await list()).length > 0);
  const detail = expect.stringContaining('The outputs of make (it ran on agent a1) count as zone untrusted');
  expect(await list()).toMatchObject([{ actor: 'admin', subject: `${id}/sign`, detail, count: '1' }]);
});

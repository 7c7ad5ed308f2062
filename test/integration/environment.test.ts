import { expect, test } from 'vitest';
import { digestOf, hashOf } from '../../cache/digest.ts';
import { parseBuildId } from '../../coordinator/core/ids.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { callUnary } from '../../proto/dial.ts';
import { readTopology } from '../../topology/file.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { serveCoordinator } from './served-coordinator.ts';

const signal = new AbortController().signal;
const TEXT = `version: 1
unlisted: accept
environments:
  staging: {labels: cluster=edge, zone: trusted, params: {url: "https://staging.example", workers: 2, dry: true}}
  vault: {zone: production}
flags:
  old: {type: integer, default: 1, owner: ann, expires: 2020-02-29, environments: {staging: 5}}
  fresh: {type: string, default: a, owner: bob, expires: 9999-12-31}
`;

/** A coordinator with a topology in force of which one flag's last day has passed since. */
async function coordinatorWithTopology() {
  const coordinator = await serveCoordinator({ ledger: openMemoryLedger(), data: memoryDataPlane() });
  const { topology, problems } = readTopology(TEXT);
  if (topology === undefined) throw new Error(JSON.stringify(problems));
  const digest = hashOf(digestOf(Buffer.from(TEXT)));
  await coordinator.shell.driver.submit({ kind: 'topology-applied', base: '', digest, text: TEXT, topology, by: 'ann', reason: '' });
  return coordinator;
}

test('an environment is told with typed values, and a flag that is overdue keeps its value and is warned of', async () => {
  await using coordinator = await coordinatorWithTopology();
  const ask = (name: string) => callUnary(coordinator.client('viewer'), 'getEnvironment', { name }, { signal });
  const warnings = ['the flag "old" of ann expired after 2020-02-29'];
  expect(await ask('staging')).toMatchObject({
    params: { url: '"https://staging.example"', workers: '2', dry: 'true' },
    flags: { old: '5', fresh: '"a"' },
    warnings,
  });
  expect(await ask('')).toMatchObject({ params: {}, flags: { old: '1', fresh: '"a"' }, warnings });
  await expect(ask('stagin')).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('the topology has no environment "stagin"'),
  });
});

test('the coordinator places steps of an environment, whatever the client asks for, and refuses those that are too high', async () => {
  await using coordinator = await coordinatorWithTopology();
  const submit = (environment: string) => {
    const steps = [{ name: 'one', command: ['true'], environment, selector: 'class=edge' }];
    const request = { idempotencyKey: `of ${environment}`, name: 'placed', steps };
    return callUnary(coordinator.client('submitter'), 'submitBuild', request, { signal });
  };
  const id = parseBuildId((await submit('staging')).buildId);
  const steps = id === undefined ? [] : coordinator.shell.core.build(id)?.steps.map(({ spec }) => [spec.selector, spec.zone]);
  expect(steps).toEqual([['class=edge, cluster=edge', 'trusted']]);
  const message = "the environment vault is in the zone production, but the caller's steps may run in trusted at most";
  await expect(submit('vault')).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining(message) });
  await expect(submit('vualt')).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('the topology has no environment "vualt"'),
  });
});

test('a topology with a flag whose last day is over is refused with its owner when it is planned', async () => {
  await using coordinator = await serveCoordinator({ ledger: openMemoryLedger(), data: memoryDataPlane() });
  const client = coordinator.client('operator');
  const { problems } = await callUnary(client, 'planTopology', { text: TEXT }, { signal });
  expect(problems).toMatchObject([{ field: 'flags.old.expires', message: 'the flag "old" of ann expired after 2020-02-29' }]);
  expect(coordinator.shell.core.topologies()).toEqual([]);
});

import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import { digestOf } from '../../cache/digest.ts';
import { openDataPlane, type MovableDataPlane } from '../../cache/rpc/client.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { expectFault, readAll } from '../contract/blob-store.ts';
import { dataPlanePid } from '../fixtures/data-plane-pid.ts';
import { freePorts } from '../fixtures/ports.ts';
import { ROOT } from '../fixtures/root.ts';
import { startNode, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { scriptedAgent } from './scripted-agent.ts';

/* A coordinator's process with its data plane, and agents that do with their grants what the test says. */

const { signal } = new AbortController();
const env = { log: silentLogger, clock: systemClock };
let dir: TempDir;
let coordinator: RunningProcess;
let listen: string;
let data: MovableDataPlane;

beforeAll(async () => {
  dir = await tempDir();
  const [port, dataPort] = await freePorts(2);
  listen = `127.0.0.1:${port}`;
  const own = ['--listen', listen, '--data-listen', `127.0.0.1:${dataPort}`, '--state-dir', dir.path];
  const times = ['--lease-ttl', '10s', '--heartbeat', '2s', '--offer-ttl', '30s'];
  coordinator = startNode([join(ROOT, 'coordinator/main.ts'), ...own, ...times]);
  await coordinator.ready();
  data = openDataPlane({ link: { address: `127.0.0.1:${dataPort}`, token: agentToken() }, instanceName: '', env, patienceMs: 0 });
});
afterAll(async () => {
  await data[Symbol.asyncDispose]();
  await coordinator[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const agentToken = () => new Secret(readFileSync(join(dir.path, 'agent-token'), 'utf8').trim());

async function submit(name: string): Promise<string> {
  const build = dial(loadProto().switchyard.v1.Build, { address: listen, token: undefined }, 'control');
  const step = { name: 'one', command: ['make', name], selector: `name=${name}` };
  const { buildId } = await callUnary(build, 'submitBuild', { idempotencyKey: name, name, steps: [step] }, { signal });
  build.close();
  return buildId;
}

function agent(name: string, protocolMax: number, held: readonly { token: string; started: boolean }[] = []) {
  return scriptedAgent(listen, agentToken(), { agentId: name, protocolMax, labels: { name }, held: [...held] });
}

const fresh = (text: string) => Buffer.from(`${text} ${systemClock.monotonic()}`);
const succeeded = { result: { exitCode: 0, agent: 'a', usage: {} } };

describe('an agent that knows grants', () => {
  test('gets one with each offer and each renewal, which opens the scope of the build until the attempt ends', async () => {
    await submit('grants');
    await using one = agent('grants', 2);
    const { token, grant, instanceName } = await one.next('offer');
    expect(instanceName).toBe('local/main');
    const [bytes, later] = [fresh('output'), fresh('later')];
    const first = data.withGrant(instanceName, () => grant).store;
    await first.put(digestOf(bytes), bytes, signal);
    expect((await readAll(first, digestOf(bytes))).equals(bytes)).toBe(true);
    await expectFault('FORBIDDEN', data.withGrant('local/release', () => grant).store.put(digestOf(bytes), bytes, signal));
    await expectFault('FORBIDDEN', data.withGrant('other/main', () => grant).store.findMissing([digestOf(bytes)], signal));
    await expectFault('FORBIDDEN', data.withInstance(instanceName).store.findMissing([digestOf(bytes)], signal));

    one.send({ accept: { token } }, { running: { token } }, { heartbeat: { tokens: [token], credits: 4 } });
    const { leases } = await one.next('heartbeatReply');
    const renewed = leases.find((lease) => lease.token === token)?.grant ?? '';
    expect(renewed).not.toBe('');
    await data.withGrant(instanceName, () => renewed).store.findMissing([digestOf(bytes)], signal);

    one.send({ finished: { token, report: succeeded } });
    await one.next('finishedReply');
    for (const replayed of [grant, renewed]) {
      const { store } = data.withGrant(instanceName, () => replayed);
      await until('the data plane has heard of the end', async () => {
        const refusal = await store.findMissing([digestOf(bytes)], signal).then(
          () => undefined,
          (error: unknown) => error,
        );
        return refusal instanceof Error && refusal.message.includes('has ended');
      });
      await expectFault('FORBIDDEN', store.put(digestOf(later), later, signal));
    }
  });

  test('has none any more once its lease has run out, and gets another when it comes back in time', async () => {
    await submit('silent');
    let token = '';
    let grant = '';
    {
      await using one = agent('silent', 2);
      ({ token, grant } = await one.next('offer'));
      one.send({ accept: { token } }, { running: { token } });
      await until('the step runs', async () => {
        one.send({ heartbeat: { tokens: [token], credits: 4 } });
        return (await one.next('heartbeatReply')).leases.some((lease) => lease.token === token);
      });
    }
    await using again = agent('silent', 2, [{ token, started: true }]);
    const { held } = await again.next('registered');
    expect(held).toMatchObject([{ token, verdict: 'CONTINUE' }]);
    const { store } = data.withGrant('local/main', () => held[0]?.grant);
    await store.findMissing([], signal);
    const old = data.withGrant('local/main', () => grant).store;
    await until(
      'the first grant has run out, with the stated skew',
      async () => {
        const refusal = await old.findMissing([digestOf(fresh('x'))], signal).then(
          () => undefined,
          (error: unknown) => error,
        );
        return refusal instanceof Error && 'code' in refusal && refusal.code === 'GRANT_EXPIRED';
      },
      20_000,
    );
  });
});

test('an agent of protocol 1 uses the data plane while it holds a lease, and then no more', async () => {
  const plane = data.withInstance('local/main').store;
  const bytes = fresh('old output');
  await expectFault('FORBIDDEN', plane.put(digestOf(bytes), bytes, signal));
  await submit('old');
  await using one = agent('old', 1);
  const { token, grant } = await one.next('offer');
  expect(grant).toBe('');
  await plane.put(digestOf(bytes), bytes, signal); // it has the lease when it hears of it
  await expectFault('FORBIDDEN', data.withInstance('local/release').store.findMissing([digestOf(bytes)], signal));
  one.send({ accept: { token } }, { running: { token } }, { finished: { token, report: succeeded } });
  await one.next('finishedReply');
  await until('the data plane has heard of the end', async () =>
    plane.findMissing([digestOf(bytes)], signal).then(
      () => false,
      () => true,
    ),
  );
});

test('grants go on to open a data plane that was started again after the signing key was exchanged', async () => {
  const file = join(dir.path, 'blobs', 'signing-key.pem');
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, `${privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()}${readFileSync(file, 'utf8')}`);
  const pid = dataPlanePid(coordinator);
  process.kill(pid, 'SIGKILL');
  await until('another data plane runs', () => dataPlanePid(coordinator) !== pid);
  await submit('rotated');
  await using one = agent('rotated', 2);
  const { grant, instanceName } = await one.next('offer');
  await data.withGrant(instanceName, () => grant).store.findMissing([digestOf(fresh('x'))], signal);
});

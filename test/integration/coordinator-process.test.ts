import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import { digestOf } from '../../cache/digest.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { digestToProto } from '../../proto/convert.ts';
import { callServerStream, callUnary, dial } from '../../proto/dial.ts';
import type { WatchBuildResponse__Output } from '../../proto/gen/switchyard/v1/WatchBuildResponse.ts';
import { loadProto } from '../../proto/load.ts';
import { ROOT } from '../fixtures/root.ts';
import { dataPlanePid } from '../fixtures/data-plane-pid.ts';
import { startNode, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { scriptedAgent } from './scripted-agent.ts';

const signal = new AbortController().signal;
const env = { log: silentLogger, clock: systemClock };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return address.port;
}

/** A coordinator's process whose addresses stay the same over restarts. */
async function place(stateDir: string) {
  const [listen, dataListen] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const start = (...more: string[]): RunningProcess =>
    startNode([join(ROOT, 'coordinator/main.ts'), '--listen', listen, '--data-listen', dataListen, '--state-dir', stateDir, ...more]);
  const build = dial(loadProto().switchyard.v1.Build, { address: listen, token: undefined }, 'control');
  return { listen, dataListen, start, build, agentToken: () => new Secret(readFileSync(join(stateDir, 'agent-token'), 'utf8').trim()) };
}

async function watch(
  build: Awaited<ReturnType<typeof place>>['build'],
  buildId: string,
  cursor: string,
  last: string,
): Promise<WatchBuildResponse__Output[]> {
  const all: WatchBuildResponse__Output[] = [];
  for await (const item of callServerStream(build, 'watchBuild', { buildId, cursor }, { signal })) {
    all.push(item);
    if (item.event === last) break;
  }
  return all;
}

test('a coordinator killed between acceptance and completion goes on when it is back: nothing lost, nothing run twice', async () => {
  await using dir = await tempDir();
  const at = await place(dir.path);
  await using first = at.start();
  expect(await first.ready()).toEqual({ ready: true, address: at.listen, dataAddress: at.dataListen });
  expect(JSON.parse(readFileSync(join(dir.path, 'coordinator.json'), 'utf8'))).toMatchObject({ address: at.listen });
  const log = Buffer.from('before the crash\nafter the crash\n');
  let token: string;
  let seen: WatchBuildResponse__Output[];
  const submission = {
    idempotencyKey: 'once',
    name: 'survivor',
    steps: [
      { name: 'one', command: ['make'], cacheable: true },
      { name: 'two', command: ['make', 'test'], needs: [{ step: 'one', outputs: true }] },
    ],
  };
  const { buildId } = await callUnary(at.build, 'submitBuild', submission, { signal });
  {
    await using agent = scriptedAgent(at.listen, at.agentToken());
    ({ token } = await agent.next('offer'));
    agent.send({ accept: { token } }, { running: { token } }, { log: { token, offset: 0, data: log.subarray(0, 17) } });
    await agent.next('logAck');
    seen = await watch(at.build, buildId, '', 'attemptStarted');
    first.kill('SIGKILL');
    await first.ended;
  }

  await using second = at.start();
  await second.ready();
  expect(await callUnary(at.build, 'submitBuild', submission, { signal })).toEqual({ buildId, existing: true, scope: 'main' });
  await using agent = scriptedAgent(at.listen, at.agentToken(), { held: [{ token, started: true }] });
  const registered = await agent.next('registered');
  expect(registered).toMatchObject({ held: [{ token, verdict: 'CONTINUE' }], logs: [{ token, offset: '17' }] });
  agent.send({ log: { token, offset: 17, data: log.subarray(17) } });
  expect(await agent.next('logAck')).toEqual({ token, offset: String(log.byteLength) });
  await using data = openDataPlane({ link: { address: registered.dataAddress, token: at.agentToken() }, instanceName: 'local/main', env });
  const output = Buffer.from('made');
  await data.store.put(digestOf(log), log, signal);
  await data.store.put(digestOf(output), output, signal);
  const outputs = [{ path: 'out', file: { digest: digestToProto(digestOf(output)), executable: false } }];
  const report = { result: { exitCode: 0, outputs, log: digestToProto(digestOf(log)), agent: 'edge-1', usage: {} } };
  agent.send({ finished: { token, report } });
  expect(await agent.next('finishedReply')).toEqual({ token, verdict: 'ACCEPTED' });
  agent.send({ finished: { token, report } });
  expect(await agent.next('finishedReply')).toEqual({ token, verdict: 'ALREADY_ACCEPTED' });

  const offer = await agent.next('offer');
  expect(offer).toMatchObject({ step: 'two', attempt: 1 });
  const root = await data.store.findMissing([], signal).then(() => offer.inputRoot);
  expect(root?.sizeBytes).not.toBe('0');
  agent.send(
    { accept: { token: offer.token } },
    { finished: { token: offer.token, report: { result: { exitCode: 0, agent: 'edge-1', usage: {} } } } },
  );
  const rest = await watch(at.build, buildId, seen.at(-1)?.cursor ?? '', 'buildEnded');
  const all = [...seen, ...rest];
  expect(all.filter((item) => item.attemptAccepted).map((item) => item.step)).toEqual(['one', 'two']);
  expect(all.at(-1)?.buildEnded).toMatchObject({ verdict: 'BUILD_VERDICT_SUCCEEDED' });
  expect(new Set(all.map((item) => item.cursor)).size).toBe(all.length);
  const pieces: Buffer[] = [];
  for await (const piece of callServerStream(at.build, 'streamLog', { buildId, step: 'one' }, { signal })) pieces.push(piece.data);
  expect(Buffer.concat(pieces)).toEqual(log);

  // The result reached the action cache, so an equal step of another build need not run.
  await until('the result is published', async () => {
    const again = await callUnary(
      at.build,
      'submitBuild',
      { ...submission, idempotencyKey: `later-${Math.floor(systemClock.monotonic())}`, steps: submission.steps.slice(0, 1) },
      { signal },
    );
    const events = await watch(at.build, again.buildId, '', 'stepQueued');
    if (events.at(-1)?.event === 'buildEnded') return true;
    await callUnary(at.build, 'cancelBuild', { buildId: again.buildId }, { signal });
    return false;
  });
  second.kill('SIGTERM');
  expect(await second.ended).toEqual({ code: 0, signal: null });
  expect(existsSync(join(dir.path, 'coordinator.json'))).toBe(false);
  at.build.close();
});

test('a data plane that dies is started again at the same address, with what it held', async () => {
  await using dir = await tempDir();
  const at = await place(dir.path);
  await using coordinator = at.start();
  await coordinator.ready();
  await using data = openDataPlane({ link: { address: at.dataListen, token: undefined }, instanceName: 'local/main', env });
  const bytes = Buffer.from('kept');
  await data.store.put(digestOf(bytes), bytes, signal);
  const pid = dataPlanePid(coordinator);
  process.kill(pid, 'SIGKILL');
  await until('another data plane runs', () => dataPlanePid(coordinator) !== pid);
  expect(await data.store.findMissing([digestOf(bytes)], signal)).toEqual([]);
  at.build.close();
});

test('a coordinator that is killed leaves no data plane behind', async () => {
  await using dir = await tempDir();
  const at = await place(dir.path);
  await using coordinator = at.start();
  await coordinator.ready();
  const pid = dataPlanePid(coordinator);
  coordinator.kill('SIGKILL');
  await until(
    'the data plane has gone',
    () => !existsSync(`/proc/${pid}/stat`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '),
  );
  at.build.close();
});

test('a second coordinator on the same state does not start, says who holds it, and does no harm to that one', async () => {
  await using dir = await tempDir();
  const at = await place(dir.path);
  await using coordinator = at.start();
  await coordinator.ready();
  const other = await place(dir.path);
  await using second = other.start();
  expect(await second.ended).toEqual({ code: 1, signal: null });
  expect(second.stderr()).toContain(String(coordinator.pid));
  // The data plane of the first one still knows the first one after a restart: it can look a step up there.
  const pid = dataPlanePid(coordinator);
  process.kill(pid, 'SIGKILL');
  await until('another data plane runs', () => dataPlanePid(coordinator) !== pid);
  const submission = { idempotencyKey: 'after', name: 'after', steps: [{ name: 'one', command: ['make'], cacheable: true }] };
  const { buildId } = await callUnary(at.build, 'submitBuild', submission, { signal });
  expect((await watch(at.build, buildId, '', 'stepQueued')).map((item) => item.event)).toContain('stepQueued');
  at.build.close();
  other.build.close();
});

test('a wrong option ends the process with code 2 and every problem', async () => {
  await using dir = await tempDir();
  const at = await place(dir.path);
  await using wrong = at.start('--lisen', 'x', '--heartbeat', 'soon');
  expect(await wrong.ended).toEqual({ code: 2, signal: null });
  expect(wrong.stderr()).toContain('did you mean "--listen"');
  expect(wrong.stderr()).toContain('--heartbeat must be');
  at.build.close();
});

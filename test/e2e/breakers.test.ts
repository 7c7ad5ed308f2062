import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { digestOf } from '../../cache/digest.ts';
import { digestToProto } from '../../proto/convert.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { until } from '../fixtures/until.ts';
import { descendantsOf } from './processes.ts';
import { endOf, startRealYard, type RealYard } from './real-yard.ts';

const never = new AbortController().signal;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (typeof address !== 'object' || address === null) throw new Error('The server has no port');
  return address.port;
}

/** Kills the data plane whenever it is there, until it is let be. */
function keepKilling(yard: RealYard): { stop(): Promise<number> } {
  const enough = new AbortController();
  let kills = 0;
  const killing = (async () => {
    while (!enough.signal.aborted) {
      for (const { pid, commandLine } of descendantsOf(yard.coordinator.pid)) {
        if (!/cache\/main\./.test(commandLine)) continue;
        process.kill(pid, 'SIGKILL');
        kills += 1;
      }
      // The pace of the killing, not a wait for anything.
      await new Promise((resolve) => void setTimeout(resolve, 100));
    }
  })();
  return {
    async stop() {
      enough.abort();
      await killing;
      return kills;
    },
  };
}

async function metric(port: number, line: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
}

const OPEN = 'switchyard_dependency_breaker_state{dependency="store",state="open"}';
const CLOSED = 'switchyard_dependency_breaker_state{dependency="store",state="closed"}';

test('while the data plane is killed again and again steps wait, which everybody can see, and then go on', async () => {
  const port = await freePort();
  await using yard = await startRealYard({ agents: ['one'], coordinatorArgs: ['--metrics-listen', `127.0.0.1:${port}`] });
  expect(await metric(port, CLOSED)).toBe(1);
  const killer = keepKilling(yard);
  const step = { name: 'echo', command: ['echo', 'hello'], cacheable: true, resources: { slots: 1 } };
  const { id } = await yard.server.submit({ name: 'waits', idempotencyKey: 'waits', steps: [step] }, never);

  await until('the breaker of the store is open', async () => (await metric(port, OPEN)) === 1);
  const explanation = await until('the step says what it waits for', async () => {
    const now = await yard.server.explain(id, 'echo', never);
    return now.summary.includes('has not answered') && now.reasons.some((reason) => reason.includes('left alone since')) && now;
  });
  expect(explanation.phase).toBe('resolving');
  const agents = await until('operators see it', async () => {
    const { stdout } = await runSwitchyard(['agents', ...yard.at], { cwd: yard.dir });
    return stdout.includes('The store does not answer the coordinator') && stdout;
  });
  expect(agents).toContain('one');

  using client = Object.assign(dial(loadProto().switchyard.v1.Build, { address: yard.address, token: undefined }, 'control'), {
    [Symbol.dispose]: () => {},
  });
  const inputs = digestToProto(digestOf(Buffer.from('a tree')));
  const refused = callUnary(
    client,
    'submitBuild',
    { name: 'with inputs', idempotencyKey: 'inputs', steps: [{ ...step, inputRoot: inputs, inputBytes: 6 }] },
    { signal: never, deadlineMs: 20_000 },
  );
  await expect(refused).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryAfterMs: expect.any(Number) });
  client.close();

  expect(await killer.stop()).toBeGreaterThan(0);
  const { build, steps } = await endOf(yard.server, id);
  expect(build.verdict).toBe('succeeded');
  expect(steps[0]?.attempts).toHaveLength(1);
  await until('the breaker is closed again', async () => (await metric(port, CLOSED)) === 1);
  expect(await metric(port, 'switchyard_dependency_breaker_opened_total{dependency="store"}')).toBeGreaterThan(0);
  expect(await metric(port, 'switchyard_steps_not_resolved_total')).toBeGreaterThan(0);
  expect(await metric(port, 'switchyard_attempts_total{class="succeeded"}')).toBe(1);
});

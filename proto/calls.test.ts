import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Evidence } from '../base/auth.ts';
import { systemClock } from '../base/clock.ts';
import { Fault, FAULTS, isFault, type FaultCode } from '../base/fault.ts';
import { Secret } from '../base/secret.ts';
import { chunksOf, collect, converse, faultOf, log, mapped, never, open, start } from '../test/fixtures/plain-calls.ts';
import { until } from '../test/fixtures/until.ts';
import { callClientStream, callServerStream, callUnary, dial } from './dial.ts';
import { loadProto } from './load.ts';
import { STATUS } from './status.ts';

test('a unary call brings the answer, the token and the loopback evidence across, and its handler learns who calls', async () => {
  const seen: unknown[] = [];
  const who = { kind: 'service', name: 's' } as const;
  const authenticator = { identify: async (evidence: Evidence) => (seen.push(evidence), who) };
  const { byteClient } = await start({ status: async (name, { identity }) => seen.push(name, identity) }, new Secret('abc'), authenticator);
  const answer = await callUnary(byteClient, 'QueryWriteStatus', { resourceName: 'x' }, { signal: never });
  expect(answer.committedSize).toBe('4');
  const evidence = { authorization: 'Bearer abc', loopback: true, tls: undefined };
  expect(seen).toEqual([evidence, evidence, 'x', who]); // asked for the connection's first stream, and for the call
});

test('a fault crosses with its code, message, field, hint and wait', async () => {
  const sent = new Fault('LIMIT_EXCEEDED', 'Die Warteschlange ist voll → später', {
    field: 'steps[3]',
    hint: 'Wait.',
    retryAfterMs: 1_500,
  });
  const { byteClient } = await start({ status: () => Promise.reject(sent) });
  const call = () => faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: never }));
  const { code, message, field, hint } = await call();
  expect({ code, message, field, hint }).toEqual({ code: sent.code, message: sent.message, field: 'steps[3]', hint: 'Wait.' });
  const waits = (await Promise.all(Array.from({ length: 20 }, call))).map(({ retryAfterMs }) => retryAfterMs ?? 0);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_500);
  expect(Math.max(...waits)).toBeLessThanOrEqual(2_250);
  expect(new Set(waits).size, 'they do not all come back together').toBeGreaterThan(5);
});

test('every fault code but INTERNAL crosses all four kinds of call', async () => {
  // INTERNAL hides its text, and CANCELLED by a server is a server that went away.
  const codes = (Object.keys(STATUS) as FaultCode[]).filter((code) => code !== 'INTERNAL' && code !== 'CANCELLED');
  expect(Object.keys(STATUS).toSorted()).toEqual(Object.keys(FAULTS).toSorted());
  let code: FaultCode = 'BAD_REQUEST';
  const fail = () => {
    throw new Fault(code, `As ${code}`);
  };
  const { byteClient, agentClient } = await start({ status: fail, read: fail, write: fail, session: fail });
  for (code of codes) {
    const options = { signal: never };
    const faults = await Promise.all([
      faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, options)),
      faultOf(collect(callServerStream(byteClient, 'Read', {}, options))),
      faultOf(callClientStream(byteClient, 'Write', chunksOf(1, 1), options)),
      faultOf(
        converse(
          agentClient,
          mapped(chunksOf(1, 1), () => ({ messages: [] })),
        ),
      ),
    ]);
    expect(faults.map((fault) => [fault.code, fault.message])).toEqual(Array.from({ length: 4 }, () => [code, `As ${code}`]));
  }
});

test('an unknown error is answered as INTERNAL without its text, and logged with it', async () => {
  const { byteClient } = await start({ status: () => Promise.reject(new Error('the secret cause')) });
  const fault = await faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: never }));
  expect(fault.code).toBe('INTERNAL');
  expect(fault.message).not.toContain('secret');
  expect(log.entries.at(-1)).toMatchObject({ level: 'error', event: 'call-failed', fields: { call: 'QueryWriteStatus' } });
});

test('a message too long for a header, or with a broken surrogate pair, still arrives as its fault', async () => {
  const { byteClient } = await start({ status: () => Promise.reject(new Fault('BAD_REQUEST', `\ud800${'ä'.repeat(50_000)}`)) });
  const fault = await faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: never }));
  expect(fault.code).toBe('BAD_REQUEST');
  expect(fault.message).toContain('more characters');
});

test('a server stream delivers in order, and is pulled no faster than it is read', async () => {
  let pulled = 0;
  const { byteClient } = await start({
    async *read() {
      for (; pulled < 400; pulled += 1) yield Buffer.alloc(1024 * 1024, pulled);
    },
  });
  const stream = callServerStream(byteClient, 'Read', {}, { signal: never });
  const first = await stream.next();
  expect(first.value?.data[0]).toBe(0);
  // Nobody reads on: the pull stops once windows and buffers are full, far below the 400 MiB that there are.
  let before = -1;
  while (before !== pulled) {
    before = pulled;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(pulled).toBeLessThan(150);
  let next = 1;
  for await (const { data } of stream) {
    expect(data[0]).toBe(next % 256);
    next += 1;
  }
  expect(next).toBe(400);
});

test('a client that stops reading ends the server side through its signal', async () => {
  const aborted = Promise.withResolvers<unknown>();
  const finished = Promise.withResolvers<void>();
  const { byteClient } = await start({
    async *read(_offset, { signal }) {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason));
      try {
        while (true) yield Buffer.alloc(64 * 1024);
      } finally {
        finished.resolve();
      }
    },
  });
  for await (const _ of callServerStream(byteClient, 'Read', {}, { signal: never })) break;
  expect(isFault(await aborted.promise, 'CANCELLED')).toBe(true);
  await finished.promise;
});

test('the signal of the caller cancels a unary call on both sides', async () => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const { byteClient } = await start({
    status: (_name, { signal }) => {
      signal.addEventListener('abort', () => aborted.resolve());
      started.resolve();
      return new Promise(() => {});
    },
  });
  const controller = new AbortController();
  const call = faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: controller.signal }));
  await started.promise;
  controller.abort();
  expect((await call).code).toBe('CANCELLED');
  await aborted.promise;
  expect((await faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: controller.signal }))).code).toBe('CANCELLED');
});

test('a deadline ends the call as DEADLINE and reaches the signal', async () => {
  const aborted = Promise.withResolvers<void>();
  const { byteClient } = await start({
    status: (_name, { signal }) => {
      signal.addEventListener('abort', () => aborted.resolve());
      return new Promise(() => {});
    },
  });
  expect((await faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: never, deadlineMs: 50 }))).code).toBe('DEADLINE');
  await aborted.promise;
});

test('a unary call has a deadline though its caller names none', async () => {
  const { byteClient } = await start({ status: async (_name, { deadlineAt }) => deadlineAt });
  const { committedSize } = await callUnary(byteClient, 'QueryWriteStatus', {}, { signal: never });
  expect(Math.abs(Number(committedSize) - systemClock.now() - 120_000)).toBeLessThan(60_000);
});

test('a client stream arrives whole, and is written no faster than it is taken', async () => {
  const go = Promise.withResolvers<void>();
  const { byteClient } = await start({
    async write(chunks) {
      await go.promise;
      let total = 0;
      for await (const chunk of chunks) total += chunk.length;
      return total;
    },
  });
  let made = 0;
  const chunks = chunksOf(300, 1024 * 1024, (index) => (made = index));
  const call = callClientStream(byteClient, 'Write', chunks, { signal: never });
  let before = -1;
  while (before !== made) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(made).toBeLessThan(100);
  go.resolve();
  expect((await call).committedSize).toBe(String(300 * 1024 * 1024));
});

test('an early answer ends a client stream without reading the rest', async () => {
  const returned = Promise.withResolvers<void>();
  const { byteClient } = await start({ write: async () => 7 });
  async function* endless() {
    try {
      while (true) yield { data: Buffer.alloc(256 * 1024) };
    } finally {
      returned.resolve();
    }
  }
  expect((await callClientStream(byteClient, 'Write', endless(), { signal: never })).committedSize).toBe('7');
  await returned.promise;
});

test('requests that fail cancel the call, and the caller gets their error', async () => {
  const got = Promise.withResolvers<void>();
  const seen = Promise.withResolvers<unknown>();
  const { byteClient } = await start({
    async write(chunks) {
      try {
        for await (const _ of chunks) got.resolve();
      } catch (error) {
        seen.resolve(error);
      }
      return 0;
    },
  });
  async function* broken() {
    yield { data: Buffer.alloc(10) };
    await got.promise;
    throw new Error('disk gone');
  }
  await expect(callClientStream(byteClient, 'Write', broken(), { signal: never })).rejects.toThrow('disk gone');
  expect(isFault(await seen.promise, 'CANCELLED')).toBe(true);
});

test('work that a client breaks off is no error of the server', async () => {
  const started = Promise.withResolvers<void>();
  const { byteClient } = await start({
    status: async (_name, { signal }) => {
      started.resolve();
      await sleep(60_000, undefined, { signal });
      return 0;
    },
  });
  const controller = new AbortController();
  const call = faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: controller.signal }));
  await started.promise;
  const before = log.entries.length;
  controller.abort();
  await call;
  await until('the server has noticed', () => log.entries.length > before);
  expect(log.entries.slice(before).map(({ level, event }) => [level, event])).toEqual([['debug', 'call-abandoned']]);
});

test('a server stream that waits for its next message is left alone once its client has gone', async () => {
  const waiting = Promise.withResolvers<void>();
  const returned = Promise.withResolvers<void>();
  const { byteClient } = await start({
    read: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => {
          waiting.resolve();
          return new Promise(() => {});
        },
        return: async () => {
          returned.resolve();
          return { done: true, value: undefined };
        },
      }),
    }),
  });
  const controller = new AbortController();
  const reading = faultOf(collect(callServerStream(byteClient, 'Read', {}, { signal: controller.signal })));
  await waiting.promise;
  controller.abort();
  expect((await reading).code).toBe('CANCELLED');
  await returned.promise;
});

/** A TCP relay in front of `target` whose connections can be cut as a lost network cuts them. */
async function relay(target: string) {
  const sockets = new Set<Socket>();
  const [host, port] = [target.slice(0, target.lastIndexOf(':')), Number(target.slice(target.lastIndexOf(':') + 1))];
  const server = createServer((inbound) => {
    const outbound = connect(port, host);
    for (const socket of [inbound, outbound]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    inbound.pipe(outbound).pipe(inbound);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('Not a TCP address');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  open.push({
    [Symbol.asyncDispose]: async () => {
      cut();
      server.close();
    },
  });
  return { address: `127.0.0.1:${bound.port}`, cut };
}

test('a connection that breaks in mid-upload never looks like the end of the upload', { timeout: 120_000 }, async () => {
  for (let round = 0; round < 20; round += 1) {
    const outcome = Promise.withResolvers<string>();
    const got = Promise.withResolvers<void>();
    const { server } = await start({
      async write(chunks) {
        try {
          for await (const _ of chunks) got.resolve();
          outcome.resolve('ended');
        } catch (error) {
          outcome.resolve(isFault(error) ? error.code : String(error));
        }
        return 0;
      },
    });
    const wire = await relay(server.address);
    const client = dial(loadProto().google.bytestream.ByteStream, { address: wire.address, token: undefined }, 'bulk');
    async function* hanging() {
      yield { data: Buffer.alloc(10) };
      await outcome.promise;
    }
    const call = faultOf(callClientStream(client, 'Write', hanging(), { signal: never }));
    await got.promise;
    wire.cut();
    expect(await outcome.promise).toBe('CANCELLED');
    expect((await call).code).toBe('PEER_UNAVAILABLE');
    client.close();
  }
});

test('a server that goes away is PEER_UNAVAILABLE to those who wait for it', async () => {
  const started = Promise.withResolvers<void>();
  const { server, byteClient } = await start({
    status: () => {
      started.resolve();
      return new Promise(() => {});
    },
    async *read(_offset, { signal }) {
      yield Buffer.alloc(1);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  });
  const call = faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: never }));
  const stream = callServerStream(byteClient, 'Read', {}, { signal: never });
  await stream.next();
  const rest = faultOf(collect(stream));
  await started.promise;
  await server[Symbol.asyncDispose]();
  expect((await call).code).toBe('PEER_UNAVAILABLE');
  expect((await rest).code).toBe('PEER_UNAVAILABLE');
  expect((await faultOf(callUnary(byteClient, 'QueryWriteStatus', {}, { signal: never }))).code).toBe('PEER_UNAVAILABLE');
});

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { isFault } from '../../base/fault.ts';
import { Secret } from '../../base/secret.ts';
import { agentUri } from '../../base/spiffe.ts';
import { callUnary, dial } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { authorityIn, certificateBy, clientOf, DOMAIN } from '../fixtures/certificates.ts';
import { startIdentityYard, type IdentityYard } from '../fixtures/identity-yard.ts';
import { freePorts } from '../fixtures/ports.ts';
import { until } from '../fixtures/until.ts';

const signal = new AbortController().signal;
const BUILDS = 3;
const STEPS = 4;
/** Strangers of each kind that try again and again. */
const STRANGERS = 2;

type Kind = 'garbage' | 'gone' | 'token' | 'certificate' | 'bytes' | 'http';

/** One try of a stranger, and how it was answered; each ends before the next one begins. */
function triesOf(yard: IdentityYard, httpPort: number): Readonly<Record<Kind, () => Promise<string>>> {
  const { dataAddress, address } = present(yard.coordinators[0], 'there is one coordinator');
  const ca = readFileSync(join(yard.dir, 'trusted.pem'));
  const other = authorityIn(yard.dir, 'other');
  const forged = certificateBy(other, { uri: agentUri(DOMAIN, { zone: 'production', cluster: 'c', pool: 'p', id: 'a-1' }) });
  const socket = async (bytes: Uint8Array | undefined) => {
    const [host = '', port] = address.split(':');
    const raw = connect({ host, port: Number(port) });
    raw.on('error', () => {});
    const closed = once(raw, 'close');
    await once(raw, 'connect').catch(() => {});
    if (bytes === undefined) raw.destroy();
    else raw.write(bytes);
    await closed;
    return 'cut';
  };
  const call = async (run: () => Promise<unknown>) => {
    try {
      await run();
      return 'ok';
    } catch (error) {
      if (isFault(error)) return error.code;
      throw error;
    }
  };
  const builds = (link: Parameters<typeof dial>[1]) =>
    call(async () => {
      const client = dial(loadProto().switchyard.v1.Build, link, 'control');
      try {
        await callUnary(client, 'listBuilds', {}, { signal });
      } finally {
        client.close();
      }
    });
  return {
    // No TLS at all: what might be the beginning of a handshake is waited for.
    garbage: () => socket(Buffer.concat([Buffer.from('GET / HTTP/1.1\r\n'), randomBytes(4_096)])),
    gone: () => socket(undefined),
    token: () => builds({ address, token: new Secret(randomBytes(16).toString('hex')), tls: yard.tls }),
    certificate: () => builds({ address, token: undefined, tls: { source: clientOf(yard.trusted.file, forged) } }),
    bytes: () =>
      call(async () => {
        const link = { address: dataAddress, token: new Secret('made up'), tls: yard.tls };
        const client = dial(loadProto().build.bazel.remote.execution.v2.ContentAddressableStorage, link, 'bulk');
        const data = Buffer.alloc(1_000_000);
        try {
          const digest = { hash: '0'.repeat(64), sizeBytes: data.byteLength };
          await callUnary(client, 'batchUpdateBlobs', { instanceName: 'shop/main', requests: [{ digest, data }] }, { signal });
        } finally {
          client.close();
        }
      }),
    http: () =>
      new Promise((resolve, reject) => {
        const headers = { authorization: 'Bearer made-up', 'content-length': '3' };
        const sent = request(
          { host: '127.0.0.1', port: httpPort, path: '/ccache/0123456789abcdef', method: 'PUT', ca, headers },
          (answer) => {
            answer.resume();
            answer.once('end', () => resolve(String(answer.statusCode)));
          },
        );
        sent.once('error', reject);
        sent.end('abc');
      }),
  };
}

test('an agent and a caller go on while strangers flood the ports with what is refused', { timeout: 300_000 }, async () => {
  const [httpPort = 0] = await freePorts(1);
  await using yard = await startIdentityYard({ args: ['--data-http-listen', `127.0.0.1:${httpPort}`] });
  const agent = await yard.agent('a-1', '--enroll', await yard.token());
  await agent.session.registered;
  const answers = new Map<string, number>();
  const over = new AbortController();
  const tries = triesOf(yard, httpPort);
  const strangers = Object.entries(tries).flatMap(([kind, once]) =>
    Array.from({ length: STRANGERS }, async () => {
      while (!over.signal.aborted) {
        const key = `${kind}: ${await once()}`;
        answers.set(key, (answers.get(key) ?? 0) + 1);
      }
    }),
  );
  const all = Promise.all(strangers);
  try {
    await until('each kind of them was refused', () => answers.size >= Object.keys(tries).length);
    const server = yard.build();
    for (let number = 0; number < BUILDS; number += 1) {
      const steps = Array.from({ length: STEPS }, (_, index) => ({
        name: `s${index}`,
        command: ['sh', '-c', 'cat */* 2>/dev/null; head -c 100000 /dev/urandom > made'],
        outputs: ['made'],
        cacheable: false,
        ...(index === 0 ? {} : { needs: [{ step: `s${index - 1}`, outputs: true }] }),
      }));
      const { id } = await server.submit({ idempotencyKey: `b-${number}`, name: 'among strangers', steps }, signal);
      for await (const event of server.watch(id, '', signal)) if (event.kind === 'build-ended') break;
      const { build, steps: ended } = await server.snapshot(id, signal);
      expect(build).toMatchObject({ stepsTotal: STEPS, stepsEnded: STEPS });
      expect(ended.map(({ attempts }) => attempts.length)).toEqual(ended.map(() => 1));
      expect(new Set(ended.map(({ verdict }) => verdict))).toEqual(new Set(['succeeded']));
    }
  } finally {
    over.abort();
    await all;
  }
  expect([...answers.keys()].toSorted()).toEqual(
    [
      'bytes: UNAUTHENTICATED',
      'certificate: UNAUTHENTICATED',
      'garbage: cut',
      'gone: cut',
      'http: 401',
      'token: UNAUTHENTICATED',
    ].toSorted(),
  );
  const broke = agent.log.entries.filter(({ event }) => event === 'session-broke' || event === 'session-hung-up');
  expect(broke).toEqual([]);
  expect(yard.log.entries.filter(({ event }) => event === 'agent-disconnected')).toEqual([]);
});

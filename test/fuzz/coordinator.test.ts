import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { callUnary } from '../../proto/dial.ts';
import { PERMISSIONS } from '../../proto/permissions.ts';
import { loadProto } from '../../proto/load.ts';
import { memoryDataPlane } from '../integration/memory-data-plane.ts';
import { REGISTER, scriptedAgent } from '../integration/scripted-agent.ts';
import { serveCoordinator, tokenOf, type ServedCoordinator, type TokenName } from '../integration/served-coordinator.ts';

const { v1 } = loadProto().switchyard;
const same = (bytes: Buffer) => bytes;
const never = new AbortController().signal;
/** Of a stream that answers until its client has enough. */
const WATCHED_MS = 300;
const MEMORY_MAX = 200 * 1024 * 1024;

let coordinator: ServedCoordinator;
let client: Client;
const rejections: unknown[] = [];
const onRejection = (reason: unknown) => void rejections.push(reason);

beforeAll(async () => {
  process.on('unhandledRejection', onRejection);
  coordinator = await serveCoordinator({ ledger: openMemoryLedger(), data: memoryDataPlane() });
  client = new Client(coordinator.address, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await coordinator[Symbol.asyncDispose]();
  process.off('unhandledRejection', onRejection);
});

const PATHS = ['Build', 'Agent'].flatMap((service) =>
  Object.keys(PERMISSIONS[`switchyard.v1.${service}`] ?? {}).map((rpc) => `/switchyard.v1.${service}/${rpc}`),
);

/** How a call ends whose client sends these messages; CANCELLED where it goes on until its client has enough. */
async function endOf(path: string, messages: readonly Buffer[], who: TokenName): Promise<Pick<ServiceError, 'code' | 'details'>> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${who}`);
  const call = client.makeBidiStreamRequest(path, same, same, metadata, { deadline: systemClock.now() + 60_000 });
  const timer = setTimeout(() => call.cancel(), WATCHED_MS);
  call.on('data', () => {});
  for (const message of messages) call.write(message);
  call.end();
  return await new Promise<Pick<ServiceError, 'code' | 'details'>>((resolve) => {
    call.on('error', (error: ServiceError) => resolve(error));
    call.on('end', () => resolve({ code: status.OK, details: '' }));
  }).finally(() => clearTimeout(timer));
}

/** It takes a build, and offers its step to an agent. */
async function works(round: number): Promise<void> {
  const name = `after-${round}`;
  await using agent = scriptedAgent(coordinator.address, tokenOf('agent'), { agentId: name });
  await agent.next('registered');
  const steps = [{ name: 'one', command: ['true'] }];
  const api = coordinator.client('submitter');
  const { buildId } = await callUnary(api, 'submitBuild', { idempotencyKey: name, name, steps }, { signal: never });
  while ((await agent.next('offer')).buildId !== buildId); // one of a fuzzed build may come first
}

const odd = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('', '\0', '//', '..', 'b-00000000000000000000000000', 'x'.repeat(5_000), '💥', 'one'),
);
const number = fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 1e9);
const long = fc.constantFrom('0', '-1', '9223372036854775807', '-9223372036854775808', '1000');
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
const step = fc.record(
  {
    name: odd,
    command: fc.array(odd, { maxLength: 3 }),
    needs: fc.array(fc.record({ step: odd }), { maxLength: 3 }),
    env: fc.dictionary(odd, odd, { maxKeys: 3 }),
    outputs: fc.array(odd, { maxLength: 3 }),
    workingDirectory: odd,
  },
  { requiredKeys: [] },
);
const submission = fc.record(
  { idempotencyKey: odd, name: odd, steps: fc.array(step, { maxLength: 4 }), labels: fc.dictionary(odd, odd) },
  { requiredKeys: [] },
);
const ofBuild = fc.record(
  { buildId: odd, step: odd, cursor: odd, pageToken: odd, attempt: number, offset: long, follow: fc.boolean() },
  { requiredKeys: [] },
);
const register = fc.record(
  {
    ...Object.fromEntries(['agentId', 'bootId', 'version'].map((field) => [field, odd])),
    protocolMin: number,
    protocolMax: number,
    credits: number,
  },
  { requiredKeys: [] },
);
const token = fc.oneof(odd, fc.constant(`${'0'.repeat(32)}.1`));
const said = fc.oneof(
  register.map((one) => ({ register: { ...REGISTER, ...one } })),
  fc.record({ token, offset: long, data: bytes }).map((log) => ({ log })),
  fc.record({ token }).map((accept) => ({ accept })),
  fc.record({ token, reason: odd }).map((reject) => ({ reject })),
  fc.record({ token }).map((running) => ({ running })),
  fc.record({ token, report: fc.record({ message: odd, staged: fc.boolean() }) }).map((finished) => ({ finished })),
  fc.record({ tokens: fc.array(token, { maxLength: 3 }), credits: number, cordonReason: odd }).map((heartbeat) => ({ heartbeat })),
  fc.constant({ draining: {} }),
  fc.constant({ leaving: {} }),
);

/** A whole message with a byte changed, taken away or put in somewhere. */
function damaged(whole: Buffer, at: number, how: number): Buffer {
  if (whole.byteLength === 0) return whole;
  const place = at % whole.byteLength;
  if (how % 3 === 0) return whole.subarray(0, place);
  if (how % 3 === 1) return Buffer.concat([whole.subarray(0, place), Buffer.from([how]), whole.subarray(place)]);
  const copy = Buffer.from(whole);
  copy[place] = how;
  return copy;
}
const messages = fc.oneof(
  bytes,
  submission.map((one) => v1.SubmitBuildRequest.serialize(one)),
  ofBuild.map((one) => v1.StreamLogRequest.serialize(one)),
  ofBuild.map((one) => v1.WatchBuildRequest.serialize(one)),
  fc.array(said, { maxLength: 4 }).map((all) => v1.AgentBatch.serialize({ messages: all })),
);
const message = fc.oneof(
  messages,
  fc.tuple(messages, fc.nat(), fc.nat(255)).map(([whole, at, how]) => damaged(whole, at, how)),
);

/** Bytes that are no message are INTERNAL by the word of gRPC, which then says so; a handler that failed would be in the log. */
function isSane({ code, details }: Pick<ServiceError, 'code' | 'details'>): boolean {
  return code !== status.UNKNOWN && code !== status.DEADLINE_EXCEEDED && !/\n\s+at |\.ts:\d+/.test(details);
}

test("every rpc answers any bytes with a status of the caller's, and goes on", { timeout: 300_000 }, async () => {
  const who = fc.constantFrom<TokenName>('submitter', 'viewer', 'operator', 'stranger', 'fork', 'agent', 'service');
  const before = process.memoryUsage.rss();
  const law = fc.asyncProperty(
    fc.constantFrom(...PATHS),
    fc.array(message, { minLength: 1, maxLength: 3 }),
    who,
    async (path, sent, whose) => {
      const end = await endOf(path, path.endsWith('/Session') ? sent : sent.slice(0, 1), whose);
      expect(isSane(end), `${path} as ${whose}: ${end.code} ${end.details}`).toBe(true);
    },
  );
  await fc.assert(law, { numRuns: 400 });
  expect(failures()).toEqual([]);
  expect(process.memoryUsage.rss() - before).toBeLessThan(MEMORY_MAX);
  await works(1);
});

test('a session that says anything after it has registered is answered or ended, alone', { timeout: 300_000 }, async () => {
  const registered = v1.AgentBatch.serialize({ messages: [{ register: { ...REGISTER, agentId: 'fuzzed' } }] });
  const batch = fc.array(said, { minLength: 1, maxLength: 6 }).map((all) => v1.AgentBatch.serialize({ messages: all }));
  const sent = fc.array(
    fc.oneof(
      batch,
      fc.tuple(batch, fc.nat(), fc.nat(255)).map(([whole, at, how]) => damaged(whole, at, how)),
    ),
    { maxLength: 5 },
  );
  const law = fc.asyncProperty(sent, async (batches) => {
    const end = await endOf('/switchyard.v1.Agent/Session', [registered, ...batches], 'agent');
    expect(isSane(end), `${end.code} ${end.details}`).toBe(true);
  });
  await fc.assert(law, { numRuns: 100 });
  expect(failures()).toEqual([]);
  await works(2);
});

function failures(): readonly unknown[] {
  return [...rejections, ...coordinator.log.entries.filter(({ event }) => event === 'call-failed')];
}

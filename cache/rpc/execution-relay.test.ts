import { expect, test } from 'vitest';
import { callServerStream, callUnary, dial, type Link } from '../../proto/dial.ts';
import { loadProto } from '../../proto/load.ts';
import { Secret } from '../../base/secret.ts';
import { openTestDataPlane, type TestDataPlane, type Who } from '../../test/fixtures/data-plane.ts';
import { freePorts } from '../../test/fixtures/ports.ts';

const { signal } = new AbortController();
const proto = loadProto();
const v2 = proto.build.bazel.remote.execution.v2;

async function executing(link: Link): Promise<string> {
  using client = Object.assign(dial(v2.Execution, link, 'control'), { [Symbol.dispose]: () => client.close() });
  try {
    for await (const _ of callServerStream(client, 'execute', {}, { signal })) return 'an operation';
    return 'nothing';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'an error';
  }
}

async function executionOf(plane: TestDataPlane, who: Who, instanceName: string) {
  using client = Object.assign(dial(v2.Capabilities, plane.link(who), 'control'), { [Symbol.dispose]: () => client.close() });
  return (await callUnary(client, 'getCapabilities', { instanceName }, { signal })).executionCapabilities;
}

test('a data plane without a coordinator runs nothing, and says so', async () => {
  await using plane = await openTestDataPlane();
  expect(await executionOf(plane, 'main', '')).toBeNull();
  expect(await executing(plane.link('main'))).toBe('UNIMPLEMENTED');
});

test('one with a coordinator tells each caller whether they may run actions', async () => {
  await using plane = await openTestDataPlane({ coordinator: '127.0.0.1:1' });
  for (const [who, instanceName, may] of [
    ['main', '', true],
    ['pr', '', true],
    ['pr', 'web/main', false],
    ['viewer', '', false],
    ['service', 'web/main', false],
  ] as const) {
    expect(await executionOf(plane, who, instanceName)).toMatchObject({
      execEnabled: may,
      digestFunction: 'SHA256',
      digestFunctions: ['SHA256'],
    });
  }
});

test('who is unknown here gets no further, and a coordinator that is away is to be tried again', async () => {
  const [port] = await freePorts(1);
  await using plane = await openTestDataPlane({ coordinator: `127.0.0.1:${port}` });
  expect(await executing({ address: plane.address, token: new Secret('unknown') })).toBe('UNAUTHENTICATED');
  expect(await executing({ address: plane.address, token: undefined })).toBe('UNAUTHENTICATED');
  expect(await executing(plane.link('main'))).toBe('PEER_UNAVAILABLE');
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../../base/assert.ts';
import { digestOf } from '../../../cache/digest.ts';
import { digestToProto } from '../../../proto/convert.ts';
import { callServerStream, callUnary } from '../../../proto/dial.ts';
import { loadProto } from '../../../proto/load.ts';
import { PATIENCE_MS, until } from '../../fixtures/until.ts';
import { startRealYard, type RealYard } from '../real-yard.ts';
import { grpcStatus, last, openRawTool, operationOf, type RawTool, type Seen } from './raw-client.ts';

const never = new AbortController().signal;
const TIMEOUT = 2 * PATIENCE_MS;
let yard: RealYard;
let tool: RawTool;

beforeAll(async () => {
  yard = await startRealYard({ agents: ['one'], coordinatorArgs: ['--no-agent-after', '0', '--abandon-after', '2s'] });
  tool = openRawTool((await yard.server.server(never)).dataAddress);
}, TIMEOUT);

afterAll(async () => {
  tool[Symbol.dispose]();
  await yard[Symbol.asyncDispose]();
});

const sh = (script: string, over = {}) => ({ command: { arguments: ['/bin/sh', '-c', script], ...over } });
const failureOf = async (stream: AsyncIterable<unknown>): Promise<{ code: string; message: string }> =>
  last(stream).then(
    () => ({ code: 'none', message: '' }),
    (error: { code: string; message: string }) => error,
  );

describe('an action', () => {
  test(
    'runs on its inputs and leaves its outputs, its text and all times in their order',
    async () => {
      const ended = await tool.run({
        command: {
          arguments: [
            '/bin/sh',
            '-c',
            'cat sub/in > out/copy; mkdir -p out/dir/deep; echo 1 > out/dir/deep/file; ln -s copy out/link; echo "$WHO" said so',
          ],
          environmentVariables: [{ name: 'WHO', value: 'tool' }],
          outputPaths: ['out/copy', 'out/dir', 'out/link', 'out/never'],
        },
        inputs: { 'sub/in': 'from the tree' },
      });
      expect(ended).toMatchObject({ done: true, metadata: { stage: 'COMPLETED' }, response: { cachedResult: false, status: { code: 0 } } });
      const result = ended.response?.result;
      expect(result).toMatchObject({
        exitCode: 0,
        outputFiles: [{ path: 'out/copy' }],
        outputDirectories: [{ path: 'out/dir', isTopologicallySorted: true }],
        outputSymlinks: [{ path: 'out/link', target: 'copy' }],
        outputFileSymlinks: [],
      });
      expect(await tool.text(result?.outputFiles[0]?.digest)).toBe('from the tree');
      expect(await tool.text(result?.stdoutDigest)).toBe('tool said so\n');
      expect(result?.outputDirectories[0]?.rootDirectoryDigest).not.toBeNull();
      const times = result?.executionMetadata;
      const order = [
        times?.queuedTimestamp,
        times?.workerStartTimestamp,
        times?.inputFetchStartTimestamp,
        times?.inputFetchCompletedTimestamp,
        times?.executionStartTimestamp,
        times?.executionCompletedTimestamp,
        times?.outputUploadStartTimestamp,
        times?.outputUploadCompletedTimestamp,
        times?.workerCompletedTimestamp,
      ].map((time) => Number(time?.seconds) * 1_000 + Number(time?.nanos) / 1_000_000);
      expect(order).toEqual(order.toSorted((left, right) => left - right));
      expect(order[0]).toBeGreaterThan(0);
      expect(times?.worker).toBe('one');
    },
    TIMEOUT,
  );

  test(
    'is told of at once, and of each stage in its turn',
    async () => {
      const actionDigest = digestToProto(await tool.upload(sh('sleep 0.5')));
      const all: Seen[] = [];
      for await (const seen of tool.execute({ actionDigest })) all.push(seen);
      const stages = all.map(({ metadata }) => metadata.stage);
      expect(['CACHE_CHECK', 'QUEUED']).toContain(stages[0]);
      expect(stages).toContain('EXECUTING');
      expect(stages.at(-1)).toBe('COMPLETED');
      expect(new Set(all.map(({ name }) => name)).size).toBe(1);
      expect(all[0]?.metadata.actionDigest).toEqual(actionDigest);
      expect(all.filter(({ done }) => done)).toHaveLength(1);
    },
    TIMEOUT,
  );

  test(
    'that ran before is answered from the cache, unless its caller wants it run',
    async () => {
      const wanted = sh('date +%N');
      const first = await tool.run(wanted);
      const { hash, sizeBytes } = digestToProto(tool.encode(wanted).digest);
      const again = await until('its result is in the cache', async () => {
        const next = await tool.run(wanted);
        return next.response?.cachedResult === true ? next : undefined;
      });
      expect(again.response?.result?.executionMetadata?.executionStartTimestamp).toBeDefined();
      const forced = await tool.run(wanted, { skipCacheLookup: true });
      expect(forced.response).toMatchObject({ cachedResult: false, status: { code: 0 } });
      expect(forced.response?.result?.stdoutDigest).not.toEqual(first.response?.result?.stdoutDigest);
      expect(hash.length + sizeBytes.length).toBeGreaterThan(64);
    },
    TIMEOUT,
  );

  test(
    'that may not be cached runs each time',
    async () => {
      const wanted = { ...sh('date +%N'), action: { doNotCache: true } };
      const [first, second] = [await tool.run(wanted), await tool.run(wanted)];
      expect(second.response?.cachedResult).toBe(false);
      expect(first.response?.result?.stdoutDigest).not.toEqual(second.response?.result?.stdoutDigest);
    },
    TIMEOUT,
  );

  test(
    'that fails is a result with its exit code, its text and what it left, and is not kept',
    async () => {
      const wanted = sh('echo half > part; echo why >&2; exit 7', { outputPaths: ['part'] });
      for (let round = 0; round < 2; round += 1) {
        const { response } = await tool.run(wanted);
        expect(response).toMatchObject({
          cachedResult: false,
          status: { code: 0 },
          result: { exitCode: 7, outputFiles: [{ path: 'part' }] },
        });
        expect(await tool.text(response?.result?.stderrDigest)).toBe('why\n');
        expect(response?.result?.stdoutDigest ?? null).toBeNull();
      }
    },
    TIMEOUT,
  );

  test(
    'brings what is asked for in the answer itself, as far as it is small',
    async () => {
      const wanted = sh('echo out; echo error >&2; echo made > small; head -c 2000000 /dev/zero > large; head -c 9 /dev/zero > other', {
        outputPaths: ['small', 'large', 'other'],
      });
      const wishes = { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['small', 'large'] };
      for (const cachedResult of [false, true]) {
        const { response } = await tool.run(wanted, wishes);
        expect(response?.cachedResult).toBe(cachedResult);
        const { stdoutRaw, stderrRaw, outputFiles } = present(response?.result ?? undefined, 'it has a result');
        expect([stdoutRaw, stderrRaw].map(String)).toEqual(['out\n', 'error\n']);
        const contents = Object.fromEntries(outputFiles.map((file) => [file.path, file.contents.toString()]));
        expect(contents).toEqual({ small: 'made\n', large: '', other: '' });
        expect(outputFiles.every(({ digest }) => digest !== null)).toBe(true);
      }
      const { response } = await tool.run(wanted);
      expect(response?.result?.stdoutRaw).toHaveLength(0);
    },
    TIMEOUT,
  );

  test(
    'that takes longer than it may is over its deadline, with what it said until then',
    async () => {
      const { response } = await tool.run({ ...sh('echo begun; sleep 60'), action: { timeout: { seconds: 1, nanos: 0 } } });
      expect(response?.status?.code).toBe(grpcStatus.DEADLINE_EXCEEDED);
      expect(await tool.text(response?.result?.stdoutDigest)).toBe('begun\n');
    },
    TIMEOUT,
  );

  test(
    'runs where it says, with outputs from there on, its parents made, and the old fields as well',
    async () => {
      const { response } = await tool.run({
        command: {
          arguments: ['./bin/make'],
          workingDirectory: 'work/here',
          outputFiles: ['new/file', 'new/alias'],
          outputDirectories: ['tree', 'treelink'],
        },
        inputs: { 'work/here/bin/make': '#!/bin/sh\necho hi > new/file; ln -s file new/alias; mkdir -p tree; ln -s tree treelink' },
      });
      expect(response?.status?.code).toBe(0);
      expect(response?.result).toMatchObject({
        outputFiles: [{ path: 'new/file' }],
        outputDirectories: [{ path: 'tree' }],
        outputSymlinks: [{ path: 'new/alias' }, { path: 'treelink' }],
        outputFileSymlinks: [{ path: 'new/alias', target: 'file' }],
        outputDirectorySymlinks: [{ path: 'treelink', target: 'tree' }],
      });
    },
    TIMEOUT,
  );

  test(
    'may leave its whole working directory, and what is above it in the tree',
    async () => {
      const { response } = await tool.run({
        command: {
          arguments: ['/bin/sh', '-c', 'echo kept > kept; mkdir ../../install; echo up > ../../install/up'],
          workingDirectory: 'build/here',
          outputPaths: ['../../install', '.'],
        },
        inputs: { 'build/here/source': 'a source' },
      });
      expect(response?.status).toMatchObject({ code: 0 });
      const { outputDirectories = [] } = response?.result ?? {};
      expect(outputDirectories.map(({ path }) => path).toSorted()).toEqual(['.', '../../install']);
      const trees = outputDirectories.map(async ({ treeDigest }) => tool.tree(treeDigest));
      const names = (await Promise.all(trees)).map(({ root }) => root?.files.map(({ name }) => name).join(' ') ?? '');
      expect(names.toSorted()).toEqual(['kept source', 'up']);
    },
    TIMEOUT,
  );

  test(
    'whose file turns out to be a directory fails, where it said which is which',
    async () => {
      const { response } = await tool.run(sh('mkdir -p x', { outputFiles: ['x'] }));
      expect(response?.status).toMatchObject({
        code: grpcStatus.FAILED_PRECONDITION,
        message: 'The output "x" is a directory, and output_files names it',
      });
    },
    TIMEOUT,
  );

  test(
    'that equals one under way shares its run, and the one that is cancelled leaves the other alone',
    async () => {
      const wanted = sh('sleep 2; date +%N');
      const actionDigest = digestToProto(await tool.upload(wanted));
      const leaving = new AbortController();
      const first = last(tool.execute({ actionDigest }, leaving.signal)).catch(() => undefined);
      const second = last(tool.execute({ actionDigest }));
      const third = last(tool.execute({ actionDigest }));
      await until('it runs', async () => (await yard.server.agents(never)).agents.some(({ running }) => running.length > 0));
      leaving.abort();
      await first;
      const [left, right] = [await second, await third];
      expect(left.response?.status?.code).toBe(0);
      expect(left.response?.result?.stdoutDigest).toEqual(right.response?.result?.stdoutDigest);
    },
    TIMEOUT,
  );
});

test('what a tool says of itself goes with its actions, which are listed by it, and not among builds', async () => {
  const about = { toolDetails: { toolName: 'bazel' }, toolInvocationId: 'run-7', targetId: '//:x', actionMnemonic: 'Genrule' };
  const actionDigest = digestToProto(await tool.upload(sh('true # told of')));
  const { name } = await last(tool.execute({ actionDigest }, never, about));
  const list = (labels: Readonly<Record<string, string>>) =>
    yard.server.list({ labels, phase: undefined, verdict: undefined, limit: 10 }, never);
  const [build] = await list({ tool: 'bazel', invocation: 'run-7' });
  expect(build).toMatchObject({
    id: name.replace('operations/', ''),
    name: 'Genrule //:x',
    labels: { target: '//:x', mnemonic: 'Genrule' },
  });
  expect(await list({})).toEqual([]);
});

test(
  'a hundred actions of one tool at once all end well, each with its own result',
  async () => {
    const all = Array.from({ length: 100 }, async (_, index) => {
      const { response } = await tool.run(sh(`echo ${index} > out`, { outputPaths: ['out'] }));
      return tool.text(response?.result?.outputFiles[0]?.digest);
    });
    expect(await Promise.all(all)).toEqual(Array.from({ length: 100 }, (_, index) => `${index}\n`));
  },
  TIMEOUT,
);

describe('a request', () => {
  test(
    'for an action whose blobs are missing is told of all of them, as violations MISSING and nothing else',
    async () => {
      const wanted = { ...sh('true # incomplete'), inputs: { 'a/1': 'one of them', 'b/2': 'another one', 'b/3': 'stored' } };
      const { digest, blobs } = tool.encode(wanted);
      const lost = [digestOf(Buffer.from('one of them')), digestOf(Buffer.from('another one'))];
      for (const [name, bytes] of blobs) if (!lost.includes(name)) await tool.data.store.put(name, bytes, never);
      const { response } = await last(tool.execute({ actionDigest: digestToProto(digest) }));
      expect(response?.status?.code).toBe(grpcStatus.FAILED_PRECONDITION);
      expect(response?.status?.details).toHaveLength(1);
      const [detail] = response?.status?.details ?? [];
      expect(detail?.type_url).toBe('type.googleapis.com/google.rpc.PreconditionFailure');
      const { violations } = loadProto().google.rpc.PreconditionFailure.deserialize(detail?.value ?? Buffer.alloc(0));
      expect(violations.map(({ type }) => type)).toEqual(['MISSING', 'MISSING']);
      const subjects = lost.map((name) => `blobs/${name.replace('-', '/')}`);
      expect(violations.map(({ subject }) => subject).toSorted()).toEqual(subjects.toSorted());
    },
    TIMEOUT,
  );

  test.for([
    ['without an action', {}, 'BAD_REQUEST', 'action_digest'],
    ['with a priority out of bounds', { executionPolicy: { priority: 5_000 } }, 'BAD_REQUEST', 'execution_policy.priority'],
    ['for another digest function', { digestFunction: 'MD5' as const }, 'BAD_REQUEST', 'digest_function'],
    ['for another project', { instanceName: 'elsewhere/main' }, 'FORBIDDEN', 'instance_name'],
  ] as const)('%s is refused, naming the field', async ([name, request, code, field]) => {
    const actionDigest = name === 'without an action' ? null : digestToProto(await tool.upload(sh('true')));
    expect(await failureOf(tool.execute({ actionDigest, ...request }))).toMatchObject({ code, field });
  });

  test.for([
    ['no arguments', { command: {} }, 'command.command'],
    ['an output out of the tree', sh('true', { outputPaths: ['../x'] }), 'command.output_paths[0]'],
    ['a working directory out of the tree', sh('true', { workingDirectory: '../..' }), 'command.working_directory'],
    [
      'a property that means nothing',
      sh('true', { platform: { properties: [{ name: 'container-image', value: 'x' }] } }),
      'command.platform.properties["container-image"]',
    ],
    ['a time that is too long', { ...sh('true'), action: { timeout: { seconds: 1e9, nanos: 0 } } }, 'action.timeout'],
  ] as const)('for an action with %s is refused, naming the field', async ([, wanted, field]) => {
    const actionDigest = digestToProto(await tool.upload(wanted));
    const failure = await failureOf(tool.execute({ actionDigest }));
    expect(failure).toMatchObject({ field });
    expect(['BAD_REQUEST', 'PATH_ESCAPES']).toContain(failure.code);
  });

  test(
    'for a place that no agent has is refused with what the nearest one lacks',
    async () => {
      const platform = {
        properties: [
          { name: 'ISA', value: 'arm-a64' },
          { name: 'label:name', value: 'one' },
        ],
      };
      const { response } = await tool.run(sh('true', { platform }));
      expect(response?.status?.code).toBe(grpcStatus.FAILED_PRECONDITION);
      expect(response?.status?.details).toEqual([]);
      expect(response?.status?.message).toMatch(/nearest is one, which lacks: .*arch=arm64/);
    },
    TIMEOUT,
  );
});

describe('an operation', () => {
  test(
    'can be waited for again by its name, while it runs and after its end',
    async () => {
      const actionDigest = digestToProto(await tool.upload(sh('sleep 1; echo waited for')));
      const leaving = new AbortController();
      let name = '';
      for await (const seen of tool.execute({ actionDigest }, leaving.signal)) {
        name = seen.name;
        break;
      }
      leaving.abort();
      const ended = await last(tool.wait(name));
      expect(ended).toMatchObject({ name, done: true, response: { status: { code: 0 } } });
      expect(await last(tool.wait(name))).toEqual(ended);
      expect(await operationOf(tool, name)).toEqual(ended);
    },
    TIMEOUT,
  );

  test('that nobody knows is not found', async () => {
    const name = `operations/b-${'0'.repeat(26)}`;
    expect(await failureOf(tool.wait(name))).toMatchObject({ code: 'BUILD_UNKNOWN' });
    expect(await failureOf(tool.wait('what?'))).toMatchObject({ code: 'BAD_REQUEST', field: 'name' });
    await callUnary(tool.operations, 'cancelOperation', { name }, { signal: never });
  });

  test(
    'that is cancelled ends so, for those who wait too, and may be cancelled once more',
    async () => {
      const actionDigest = digestToProto(await tool.upload(sh('sleep 60 # cancelled')));
      let stages: Seen | undefined;
      const stream = tool.execute({ actionDigest });
      for (stages = (await stream.next()).value ?? undefined; stages?.metadata.stage !== 'EXECUTING';)
        stages = (await stream.next()).value ?? undefined;
      const { name } = stages;
      for (let round = 0; round < 2; round += 1) await callUnary(tool.operations, 'cancelOperation', { name }, { signal: never });
      expect((await last(stream)).response?.status?.code).toBe(grpcStatus.CANCELLED);
      await callUnary(tool.operations, 'cancelOperation', { name }, { signal: never });
    },
    TIMEOUT,
  );

  test(
    'is listed, newest first and page by page, and gone once it is deleted',
    async () => {
      const first = await tool.run({ ...sh('echo listed 1'), action: { doNotCache: true } });
      const second = await tool.run({ ...sh('echo listed 2'), action: { doNotCache: true } });
      const page = (pageToken: string) => callUnary(tool.operations, 'listOperations', { pageSize: 1, pageToken }, { signal: never });
      const newest = await page('');
      expect(newest.operations.map(({ name }) => name)).toEqual([second.name]);
      expect((await page(newest.nextPageToken)).operations.map(({ name }) => name)).toEqual([first.name]);
      await callUnary(tool.operations, 'deleteOperation', { name: second.name }, { signal: never });
      expect((await page('')).operations.map(({ name }) => name)).toEqual([first.name]);
    },
    TIMEOUT,
  );

  test(
    'that nobody waits for any more is cancelled after a while',
    async () => {
      const actionDigest = digestToProto(await tool.upload(sh('sleep 50 # abandoned')));
      const leaving = new AbortController();
      let name = '';
      for await (const seen of tool.execute({ actionDigest }, leaving.signal)) {
        name = seen.name;
        if (seen.metadata.stage === 'EXECUTING') break;
      }
      leaving.abort();
      const idle = name.replace('operations/', '');
      await until('it is cancelled', async () => (await yard.server.snapshot(idle, never)).build.phase === 'ended');
      expect((await operationOf(tool, name)).response?.status).toMatchObject({ code: grpcStatus.CANCELLED, message: /nobody has waited/ });
    },
    TIMEOUT,
  );

  test(
    'has a log that can be read while it runs, from any byte on',
    async () => {
      const actionDigest = digestToProto(await tool.upload(sh('echo first; sleep 1; echo second >&2 # log')));
      const stream = tool.execute({ actionDigest });
      let resourceName = '';
      while (resourceName === '') resourceName = (await stream.next()).value?.metadata.stdoutStreamName ?? '';
      const textFrom = async (readOffset: number) => {
        let text = '';
        for await (const { data } of callServerStream(tool.bytes, 'read', { resourceName, readOffset }, { signal: never }))
          text += data.toString();
        return text;
      };
      expect(await textFrom(0)).toBe('first\nsecond\n');
      const { response } = await last(stream);
      expect(await textFrom(6)).toBe('second\n');
      // In the end each of the two streams has its own; the next one who asks is told the same by the action cache.
      const again = await tool.run(sh('echo first; sleep 1; echo second >&2 # log'));
      expect(again.response?.cachedResult).toBe(true);
      for (const end of [response, again.response]) {
        expect(await tool.text(end?.result?.stdoutDigest)).toBe('first\n');
        expect(await tool.text(end?.result?.stderrDigest)).toBe('second\n');
      }
    },
    TIMEOUT,
  );
});

test('a tool is told by the same address what it may do, and that it may execute', async () => {
  const capabilities = await callUnary(tool.capabilities, 'getCapabilities', {}, { signal: never });
  expect(capabilities).toMatchObject({
    cacheCapabilities: { actionCacheUpdateCapabilities: { updateEnabled: true } },
    executionCapabilities: {
      execEnabled: true,
      digestFunction: 'SHA256',
      executionPriorityCapabilities: { priorities: [{ minPriority: -1000 }] },
    },
    lowApiVersion: { major: 2, minor: 0 },
  });
});

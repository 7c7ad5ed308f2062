import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { buildTree } from '../../../cache/tree/build.ts';
import { digestFrom } from '../../../cache/digest.ts';
import type { Action } from '../../../proto/gen/build/bazel/remote/execution/v2/Action.ts';
import type { Command } from '../../../proto/gen/build/bazel/remote/execution/v2/Command.ts';
import type { Digest__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Digest.ts';
import type { ExecuteRequest } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteRequest.ts';
import type { ExecuteResponse__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteResponse.ts';
import type { ExecuteOperationMetadata__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteOperationMetadata.ts';
import type { Operation__Output } from '../../../proto/gen/google/longrunning/Operation.ts';
import { loadProto } from '../../../proto/load.ts';
import { holds, ok, refusedWith, type Area } from '../check.ts';
import { blobOf, EMPTY, type Blob, type Session } from '../session.ts';

const v2 = loadProto().build.bazel.remote.execution.v2;
const { Execution } = v2;
const { Operations } = loadProto().google.longrunning;
const FAILURE = 'type.googleapis.com/google.rpc.PreconditionFailure';

type Wanted = { readonly command: Command; readonly action?: Action; readonly inputs?: Readonly<Record<string, string>> };

/** A command that no server has run: its text is new each time. */
const sh = (script: string, over: Command = {}): Command => ({ arguments: ['/bin/sh', '-c', `${script} # ${randomUUID()}`], ...over });

/** The action first, then all that it names. */
function encoded({ command, action, inputs = {} }: Wanted): readonly [Blob, ...Blob[]] {
  const files = Object.entries(inputs).map(([path, text]) => ({ path, blob: blobOf(Buffer.from(text)) }));
  const tree = buildTree(
    files.map(({ path, blob }) => {
      const digest = digestFrom(blob.digest.hash, Number(blob.digest.sizeBytes));
      if (digest === undefined) throw new Error('The digest of a blob is one');
      return { kind: 'file', path, digest, executable: false };
    }),
  );
  const directories = [...tree.encoded.values()].map((bytes) => blobOf(Buffer.from(bytes)));
  const body = blobOf(v2.Command.serialize(command));
  const root = directories.find(({ digest }) => `${digest.hash}-${digest.sizeBytes}` === tree.root) ?? EMPTY;
  const whole = blobOf(v2.Action.serialize({ commandDigest: body.digest, inputRootDigest: root.digest, ...action }));
  return [whole, body, ...directories, ...files.map(({ blob }) => blob)];
}

async function stored(session: Session, wanted: Wanted): Promise<Digest__Output> {
  const [action, ...others] = encoded(wanted);
  for (const blob of [action, ...others]) await session.put(blob);
  return action.digest;
}

type Told = { readonly operation: Operation__Output; readonly metadata: ExecuteOperationMetadata__Output };

async function execute(session: Session, actionDigest: Digest__Output, over: ExecuteRequest = {}): Promise<readonly Told[]> {
  const request = { instanceName: session.endpoint.instance, actionDigest, ...over };
  const operations = ok(await session.stream(Execution.service.Execute, request), 'Execute');
  return operations.map((operation) => {
    return { operation, metadata: v2.ExecuteOperationMetadata.deserialize(operation.metadata?.value ?? Buffer.alloc(0)) };
  });
}

/** @throws {Deviation} where the last operation is no end */
function endOf(told: readonly Told[]): ExecuteResponse__Output {
  const operation = told.at(-1)?.operation;
  holds(operation?.done === true, 'the stream ended before the operation was done');
  holds(operation.error === null || operation.error === undefined, 'the operation has an error, where only a response may be');
  holds(operation.response !== null && operation.response !== undefined, 'the operation is done and has no response');
  return v2.ExecuteResponse.deserialize(operation.response.value);
}

async function run(session: Session, wanted: Wanted, over: ExecuteRequest = {}): Promise<ExecuteResponse__Output> {
  return endOf(await execute(session, await stored(session, wanted), over));
}

const codeOf = ({ status: end }: ExecuteResponse__Output): string => status[end?.code ?? 0] ?? 'a number of its own';
const isOk = (response: ExecuteResponse__Output): void =>
  holds(codeOf(response) === 'OK', `the status is ${codeOf(response)}: ${response.status?.message}`);
const nameOf = (told: readonly Told[]): string => told[0]?.operation.name ?? '';

export const execution: Area = {
  name: 'Execution, Operations',
  unlessUnimplemented: (session) => session.stream(Execution.service.Execute, { instanceName: session.endpoint.instance }),
  checks: [
    {
      id: 'execution-capabilities',
      claim: 'A caller who may execute is told so, with SHA-256 in the old field as well as in the new one',
      async run({ capabilities: { executionCapabilities: exec } }) {
        holds(exec?.execEnabled === true, 'exec_enabled is not set');
        holds(exec.digestFunction === 'SHA256', `digest_function is ${exec.digestFunction}`);
        holds(exec.digestFunctions.includes('SHA256'), 'digest_functions lacks SHA256');
      },
    },
    {
      id: 'execute-round-trip',
      claim: 'A command gets its inputs and its environment, and leaves files, directories, links and text',
      async run(session) {
        const command = sh('cat a/in > out/copy && mkdir out/d && echo 1 > out/d/x && ln -s copy out/l && echo "$WORD"', {
          environmentVariables: [{ name: 'WORD', value: 'said' }],
          outputPaths: ['out/copy', 'out/d', 'out/l', 'out/never'],
        });
        const { result, ...response } = await run(session, { command, inputs: { 'a/in': 'text' } });
        isOk({ result, ...response });
        holds(result?.exitCode === 0, `the exit code is ${result?.exitCode}`);
        holds(result.outputFiles.map(({ path }) => path).join() === 'out/copy', 'output_files is not out/copy');
        holds(result.outputDirectories.map(({ path }) => path).join() === 'out/d', 'output_directories is not out/d');
        holds(result.outputSymlinks.map(({ target }) => target).join() === 'copy', 'output_symlinks is not a link to copy');
        const text = await textOf(session, result.stdoutDigest, result.stdoutRaw);
        holds(text === 'said\n', `standard output is ${JSON.stringify(text)}`);
      },
    },
    {
      id: 'streams-are-apart',
      claim: 'What a command writes to standard error is no part of its standard output, also where the result comes from the cache',
      async run(session) {
        const wanted = { command: sh('echo one; echo two >&2; echo three') };
        for (const { result } of [await run(session, wanted), await run(session, wanted)]) {
          holds(result !== null, 'there is no result');
          const out = await textOf(session, result?.stdoutDigest, result?.stdoutRaw);
          holds(out === 'one\nthree\n', `standard output is ${JSON.stringify(out)}`);
          const error = await textOf(session, result?.stderrDigest, result?.stderrRaw);
          holds(error === 'two\n', `standard error is ${JSON.stringify(error)}`);
        }
      },
    },
    {
      id: 'inline-wishes',
      claim: 'Small text and files that are asked for in the answer itself are those of their digests, which are there as well',
      async run(session) {
        const command = sh('echo out; echo error >&2; echo made > file; echo other > other', { outputPaths: ['file', 'other'] });
        const { result } = await run(session, { command }, { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['file'] });
        holds(result !== null, 'there is no result');
        const [file, other] = ['file', 'other'].map((wanted) => result.outputFiles.find(({ path }) => path === wanted));
        // Wishes are no claims: a server may leave any of them out.
        for (const [digest, raw, text] of [
          [result.stdoutDigest, result.stdoutRaw, 'out\n'],
          [result.stderrDigest, result.stderrRaw, 'error\n'],
          [file?.digest ?? null, file?.contents ?? Buffer.alloc(0), 'made\n'],
        ] as const) {
          holds(
            raw.byteLength === 0 || raw.toString() === text,
            `what should be ${JSON.stringify(text)} is ${JSON.stringify(raw.toString())}`,
          );
          holds((await textOf(session, digest, Buffer.alloc(0))) === text, `the digest is not that of ${JSON.stringify(text)}`);
        }
        holds(other?.contents.byteLength === 0, 'a file is in the answer for which nobody asked');
      },
    },
    {
      id: 'first-operation-before-any-wait',
      claim: 'The first message names the operation, with a stage before its run and the digest of the action; the last one is its end',
      async run(session) {
        const told = await execute(session, await stored(session, { command: sh('sleep 1') }));
        const [first] = told;
        holds(first !== undefined && first.operation.name !== '', 'the first message has no name');
        holds(!first.operation.done, 'there is no message before the end');
        holds(['CACHE_CHECK', 'QUEUED', 'EXECUTING'].includes(first.metadata.stage), `the first stage is ${first.metadata.stage}`);
        holds(new Set(told.map(({ operation }) => operation.name)).size === 1, 'the name changes on the way');
        holds(told.filter(({ operation }) => operation.done).length === 1, 'more than one message is the end');
        holds(told.at(-1)?.metadata.stage === 'COMPLETED', 'the last stage is not COMPLETED');
        endOf(told);
      },
    },
    {
      id: 'missing-violations-only-and-complete',
      claim: 'Blobs that an action lacks are named all at once, as violations MISSING of one PreconditionFailure, with nothing beside it',
      async run(session) {
        const inputs = { 'a/1': randomUUID(), 'b/2': randomUUID(), 'b/3': randomUUID() };
        const [action, ...others] = encoded({ command: sh('true'), inputs });
        const lost = new Set([inputs['a/1'], inputs['b/2']].map((text) => blobOf(Buffer.from(text)).digest.hash));
        for (const blob of [action, ...others]) if (!lost.has(blob.digest.hash)) await session.put(blob);
        const request = { instanceName: session.endpoint.instance, actionDigest: action.digest };
        const answer = await session.stream(Execution.service.Execute, request);
        // Both are allowed: as the status of the call, of which a client sees the code here, or in the response.
        if (answer.kind === 'error') return refusedWith(answer, ['FAILED_PRECONDITION'], 'an action without its inputs');
        const response = v2.ExecuteResponse.deserialize(answer.value.at(-1)?.response?.value ?? Buffer.alloc(0));
        holds(codeOf(response) === 'FAILED_PRECONDITION', `the status is ${codeOf(response)}`);
        const details = response.status?.details ?? [];
        holds(details.length === 1 && details[0]?.type_url === FAILURE, 'the details are not one PreconditionFailure');
        const { violations } = loadProto().google.rpc.PreconditionFailure.deserialize(details[0].value);
        holds(
          violations.every(({ type }) => type === 'MISSING'),
          'a violation is not MISSING',
        );
        const named = violations.map(({ subject }) => /^blobs\/([0-9a-f]{64})\/36$/.exec(subject)?.[1] ?? subject);
        holds(named.length === 2 && named.every((hash) => lost.has(hash)), `the violations name ${named.join(', ')}`);
      },
    },
    {
      id: 'execute-bad-requests',
      claim: 'An action that is not named, or is no action, is INVALID_ARGUMENT, which some clients probe for',
      async run(session) {
        const { instance: instanceName } = session.endpoint;
        refusedWith(await session.stream(Execution.service.Execute, { instanceName }), ['INVALID_ARGUMENT'], 'no action_digest');
        const noAction = await session.put(blobOf(Buffer.from(`\u00ff${randomUUID()}`, 'latin1')));
        const answer = await session.stream(Execution.service.Execute, { instanceName, actionDigest: noAction.digest });
        refusedWith(answer, ['INVALID_ARGUMENT'], 'an action that is none');
      },
    },
    {
      id: 'exit-code-is-a-result',
      claim: 'A command that fails is a result with its exit code and outputs, under the status OK, and is not kept',
      async run(session) {
        const actionDigest = await stored(session, { command: sh('echo half > part; exit 7', { outputPaths: ['part'] }) });
        for (let round = 0; round < 2; round += 1) {
          const response = endOf(await execute(session, actionDigest));
          isOk(response);
          holds(response.result?.exitCode === 7, `the exit code is ${response.result?.exitCode}`);
          holds(!response.cachedResult, 'the failure came from the cache');
          holds(response.result.outputFiles.length === 1, 'what the command left is not there');
        }
      },
    },
    {
      id: 'do-not-cache',
      claim: 'An action that may not be cached runs each time; another one may be forced to',
      async run(session) {
        const often = await stored(session, { command: sh('true'), action: { doNotCache: true } });
        for (let round = 0; round < 2; round += 1)
          holds(!endOf(await execute(session, often)).cachedResult, 'a result came from the cache that may not be there');
        const once = await stored(session, { command: sh('true') });
        endOf(await execute(session, once));
        holds(!endOf(await execute(session, once, { skipCacheLookup: true })).cachedResult, 'skip_cache_lookup was not heeded');
      },
    },
    {
      id: 'timeout',
      claim: 'A command that takes longer than it may ends with DEADLINE_EXCEEDED',
      async run(session) {
        const response = await run(session, { command: sh('sleep 20'), action: { timeout: { seconds: 1, nanos: 0 } } });
        holds(codeOf(response) === 'DEADLINE_EXCEEDED', `the status is ${codeOf(response)}`);
      },
    },
    {
      id: 'progress-under-30s',
      claim: 'Of an action that runs for longer than half a minute something is heard meanwhile: some clients give it up otherwise',
      async run(session) {
        const told = await execute(session, await stored(session, { command: sh('sleep 31') }));
        const heard = told.filter(({ operation, metadata }) => !operation.done && metadata.stage === 'EXECUTING').length;
        holds(heard > 1, `while it ran ${heard} messages came`);
        isOk(endOf(told));
      },
    },
    {
      id: 'buildstream-no-retry-codes',
      claim: 'Codes that end a BuildStream build at once are for requests that are wrong, not for what an action did or left undone',
      async run(session) {
        const killed = await run(session, { command: sh('kill -9 $$') });
        isOk(killed);
        holds(killed.result?.exitCode === 137, `the exit code of a command that was killed is ${killed.result?.exitCode}`);
        isOk(await run(session, { command: sh('true', { outputPaths: ['never', 'made'] }) }));
      },
    },
    {
      id: 'buck2-platform-in-command',
      claim: 'A platform that only the command has is heeded, and any spelling of the letters of its operating system',
      async run(session) {
        isOk(await run(session, { command: sh('true', { platform: { properties: [{ name: 'OSFamily', value: 'Linux' }] } }) }));
      },
    },
    {
      id: 'legacy-output-files-and-symlinks',
      claim: 'The output fields of before 2.1 are heeded, and links are told in the fields of then too',
      async run(session) {
        const command = sh('echo 1 > f; ln -s f l; mkdir d; echo 2 > d/x', { outputFiles: ['f', 'l', 'never'], outputDirectories: ['d'] });
        const { result } = await run(session, { command });
        holds(result?.outputFiles.map(({ path }) => path).join() === 'f', 'output_files is not f');
        holds(result.outputDirectories.map(({ path }) => path).join() === 'd', 'output_directories is not d');
        holds(result.outputFileSymlinks.map(({ path }) => path).join() === 'l', 'output_file_symlinks is not l');
      },
    },
    {
      id: 'buildstream-output-paths',
      claim: 'The parents of outputs are there before the command, outputs may lie above the working directory, and be all of it',
      async run(session) {
        const command = sh('echo 1 > new/f; echo 2 > ../up', { workingDirectory: 'a/b', outputPaths: ['../up', '.', 'new/f'] });
        const { result } = await run(session, { command, inputs: { 'a/b/in': 'text' } });
        const files = result?.outputFiles.map(({ path }) => path).toSorted();
        holds(files?.join() === '../up,new/f', `output_files is ${files?.join()}`);
        holds(result?.outputDirectories.map(({ path }) => path).join() === '.', 'output_directories is not the working directory');
      },
    },
    {
      id: 'wait-execution',
      claim: 'An operation that has ended can be waited for and got, with the same end; one that nobody knows is NOT_FOUND',
      async run(session) {
        const told = await execute(session, await stored(session, { command: sh('true') }));
        const name = nameOf(told);
        const waited = ok(await session.stream(Execution.service.WaitExecution, { name }), 'WaitExecution');
        holds(waited.at(-1)?.done === true, 'it is not done any more');
        const got = ok(await session.unary(Operations.service.GetOperation, { name }), 'GetOperation');
        const end = told.at(-1)?.operation.response?.value ?? Buffer.alloc(0);
        holds(got.response?.value.equals(end) === true, 'GetOperation has another end');
        const other = name.replace(/[0-9a-z](?=[0-9a-z]*$)/, (letter) => (letter === '0' ? '1' : '0'));
        refusedWith(await session.stream(Execution.service.WaitExecution, { name: other }), ['NOT_FOUND'], 'an unknown operation');
      },
    },
    {
      id: 'cancel-is-idempotent',
      claim: 'An operation that has ended may be cancelled as often as one likes, and stays as it ended',
      async run(session) {
        const told = await execute(session, await stored(session, { command: sh('true') }));
        const name = nameOf(told);
        for (let round = 0; round < 2; round += 1) {
          const answer = await session.unary(Operations.service.CancelOperation, { name });
          if (answer.kind === 'error') return refusedWith(answer, ['UNIMPLEMENTED', 'INVALID_ARGUMENT'], 'cancelling');
        }
        const { response } = ok(await session.unary(Operations.service.GetOperation, { name }), 'GetOperation');
        isOk(v2.ExecuteResponse.deserialize(response?.value ?? Buffer.alloc(0)));
      },
    },
    {
      id: 'executed-times',
      claim: 'All times of a run are there, and in their order: clients subtract them',
      async run(session) {
        const { result } = await run(session, { command: sh('true') });
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
        ].map((time) => Number(time?.seconds ?? 0) * 1_000 + (time?.nanos ?? 0) / 1_000_000);
        holds(
          order.every((time, index) => time > 0 && time >= (order[index - 1] ?? 0)),
          `the times are ${order.join(', ')}`,
        );
        holds(times?.worker !== '', 'worker is empty');
      },
    },
  ],
};

async function textOf(session: Session, digest: Digest__Output | null, raw: Buffer): Promise<string> {
  if (digest === null || raw.byteLength > 0) return raw.toString();
  return ok(await session.read(session.name(`blobs/${digest.hash}/${digest.sizeBytes}`)), 'reading the text').toString();
}

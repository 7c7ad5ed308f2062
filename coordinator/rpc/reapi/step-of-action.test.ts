import { describe, expect, test } from 'vitest';
import { actionOf, type ActionFields } from '../../../cache/action/action.ts';
import { digestOf, EMPTY_DIGEST } from '../../../cache/digest.ts';
import type { Action__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Action.ts';
import type { Command } from '../../../proto/gen/build/bazel/remote/execution/v2/Command.ts';
import type { Action } from '../../../proto/gen/build/bazel/remote/execution/v2/Action.ts';
import type { ExecuteRequest } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteRequest.ts';
import { loadProto } from '../../../proto/load.ts';
import type { FoundAction } from './action-message.ts';
import { buildOfAction, type Translation } from './step-of-action.ts';

const v2 = loadProto().build.bazel.remote.execution.v2;
const caller = { name: 'ci', role: 'submitter', project: 'shop', scope: 'main', zoneCeiling: 'trusted' } as const;
const call = { tool: 'bazel', invocation: 'i-1', target: '//:x', mnemonic: 'Genrule' };

function found(command: Command, action: Action = {}): FoundAction {
  const decoded: Action__Output = v2.Action.deserialize(v2.Action.serialize(action));
  const digest = digestOf(v2.Action.serialize(action));
  return {
    digest,
    action: decoded,
    command: v2.Command.deserialize(v2.Command.serialize(command)),
    inputRoot: EMPTY_DIGEST,
    inputBytes: 7,
  };
}

function translated(command: Command, action: Action = {}, request: ExecuteRequest = {}, over: Partial<Translation> = {}) {
  const decoded = v2.ExecuteRequest.deserialize(v2.ExecuteRequest.serialize(request));
  const build = buildOfAction({
    request: decoded,
    found: found(command, action),
    call,
    caller,
    scope: 'main/pr-1',
    floorOf: () => undefined,
    ignored: new Set(),
    ...over,
  });
  const [step] = build.steps;
  if (step === undefined) throw new Error('The build has no step');
  return { build, step };
}

const TRUE: Command = { arguments: ['true'] };

describe('an action as a step', () => {
  test('is pure, of the caller’s zone and scope, and shares with the other actions of its tool’s run', () => {
    const { build, step } = translated(TRUE);
    expect(build).toMatchObject({
      project: 'shop',
      scope: 'main/pr-1',
      submittedBy: 'ci',
      name: 'Genrule //:x',
      labels: { tool: 'bazel' },
    });
    expect(step).toMatchObject({ cacheable: true, sideEffects: false, inputBytes: 7, given: { lookUp: true } });
    expect(build.share).toBe(translated({ arguments: ['false'] }).build.share);
    expect(build.share).not.toBe(translated(TRUE, {}, {}, { call: { ...call, invocation: 'i-2' } }).build.share);
    expect(build.share).not.toBe(translated(TRUE, {}, {}, { caller: { ...caller, name: 'other' } }).build.share);
  });

  test('is not kept where it says so, and runs where its caller wants no earlier result', () => {
    expect(translated(TRUE, { doNotCache: true }).step).toMatchObject({ cacheable: false, sideEffects: false });
    expect(translated(TRUE, {}, { skipCacheLookup: true }).step.given).toMatchObject({ lookUp: false });
  });

  test('comes the sooner the less its priority is', () => {
    expect(translated(TRUE, {}, { executionPolicy: { priority: -5 } }).step.priority).toBe(5);
    expect(translated(TRUE, {}, { executionPolicy: { priority: 5 } }).step.priority).toBe(-5);
  });

  test('may run as long as it says, to the millisecond, and an hour where it does not', () => {
    expect(translated(TRUE, { timeout: { seconds: 90, nanos: 500_000_000 } }).step.runTimeoutMs).toBe(90_500);
    expect(translated(TRUE).step.runTimeoutMs).toBe(3_600_000);
    expect(() => translated(TRUE, { timeout: { seconds: -1, nanos: 0 } })).toThrow(expect.objectContaining({ field: 'action.timeout' }));
  });

  test('takes the platform of the action, and that of the command where the action has none', () => {
    const ofCommand = { platform: { properties: [{ name: 'Pool', value: 'command' }] } };
    const ofAction = { platform: { properties: [{ name: 'Pool', value: 'action' }] } };
    expect(translated({ ...TRUE, ...ofCommand }, ofAction).step.selector).toBe('pool=action');
    expect(translated({ ...TRUE, ...ofCommand }, { platform: { properties: [] } }).step.selector).toBe('pool=command');
  });

  test('takes output_paths, or else the old fields with what each is', () => {
    const both = { outputPaths: ['b', 'a/'], outputFiles: ['old'], outputDirectories: ['dir'] };
    expect(translated({ ...TRUE, ...both }).step).toMatchObject({ outputs: ['b', 'a'] });
    expect(translated({ ...TRUE, ...both }).step.given?.directories).toBeUndefined();
    const old = translated({ ...TRUE, outputFiles: ['./f', 'f'], outputDirectories: ['d'] }).step;
    expect(old).toMatchObject({ outputs: ['f', 'd'], given: { directories: ['d'] } });
    expect(() => translated({ ...TRUE, outputFiles: ['x'], outputDirectories: ['x/'] })).toThrow('as output_files does');
  });

  test('has outputs above its working directory, down to the root of the inputs', () => {
    const command = { ...TRUE, workingDirectory: 'a/b', outputPaths: ['.', '../../c', 'd/../e'] };
    expect(translated(command).step.outputs).toEqual(['.', '../../c', 'e']);
    for (const path of ['../../../c', '/etc', 'x/../../../..']) {
      const refused = expect.objectContaining({ code: 'PATH_ESCAPES', field: 'command.output_paths[0]' });
      expect(() => translated({ ...command, outputPaths: [path] })).toThrow(refused);
    }
  });

  test('runs no lower than its scope takes results from, and not at all where its caller may not go as high', () => {
    expect(translated(TRUE, {}, {}, { floorOf: () => 'trusted' }).step.zone).toBe('trusted');
    expect(() => translated(TRUE, {}, {}, { floorOf: () => 'production' })).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
    expect(() => translated({ ...TRUE, platform: { properties: [{ name: 'zone', value: 'production' }] } })).toThrow('trusted at most');
  });
});

describe('the action of a step of ours', () => {
  const fields: ActionFields = {
    command: ['make', 'all'],
    env: { B: '2', A: '1' },
    workingDirectory: 'src',
    outputs: ['out', 'report.xml'],
    inputRoot: EMPTY_DIGEST,
    passEnv: ['LICENSE'],
    selector: 'class=edge, !gpu',
    zone: 'trusted',
    sandbox: ['isolatesFiles', 'limitsMemory'],
    network: true,
    cacheable: true,
    salt: '',
  };
  const messages = ({ action, command, blobs }: ReturnType<typeof actionOf>) => ({
    action: v2.Action.deserialize(Buffer.from(blobs.get(action) ?? [])),
    command: v2.Command.deserialize(Buffer.from(blobs.get(command) ?? [])),
  });

  test.for([
    ['as it is', {}],
    ['without demands', { selector: '', zone: 'untrusted', sandbox: [], network: false, passEnv: [] }],
    ['that is not cacheable', { cacheable: false }],
  ] as const)('%s, brought by a tool, becomes that very step again', ([, over]) => {
    const original = { ...fields, ...over };
    const encoded = actionOf(original);
    const { action, command } = messages(encoded);
    const { step } = translated(
      command,
      action,
      {},
      { found: { digest: encoded.action, action, command, inputRoot: EMPTY_DIGEST, inputBytes: 0 } },
    );
    expect(actionOf({ ...step, inputRoot: EMPTY_DIGEST }).action).toBe(encoded.action);
    expect(step.given?.action).toBe(encoded.action);
  });

  test('with dependency caches is refused: it would run without them, and its result would pass for theirs', () => {
    const { action, command } = messages(
      actionOf({ ...fields, salt: JSON.stringify(['', { name: 'npm', paths: ['node_modules'], key: 'k' }]) }),
    );
    expect(() => translated(command, action)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', field: 'action.salt' }));
  });
});

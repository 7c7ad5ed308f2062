import { expect, test } from 'vitest';
import type { Caller } from '../../base/caller.ts';
import { parseFloors, type FloorOf } from '../../cache/quotas.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { SubmitBuildRequest } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import { loadProto } from '../../proto/load.ts';
import { OPEN_TOPOLOGY, type Topology } from '../../topology/model.ts';
import { submissionFromProto } from './submit.ts';

const CALLER: Caller = { name: 'ci', role: 'submitter', project: 'shop', scope: 'main/pr-7', zoneCeiling: 'trusted' };
const codec = loadProto().switchyard.v1.SubmitBuildRequest;

/** The request as it arrives: over the wire and back. */
function submission(over: SubmitBuildRequest = {}, floorOf?: FloorOf, topology?: Topology) {
  const request = { idempotencyKey: 'k', name: 'a build', steps: [{ name: 'one', command: ['true'] }], ...over };
  return submissionFromProto(codec.deserialize(codec.serialize(request)), CALLER, floorOf, topology);
}

const withStep = (step: StepSpec) =>
  submission({
    steps: [
      { name: 'zero', command: ['true'] },
      { name: 'one', command: ['true'], ...step },
    ],
  });

test('everything that is not said gets the documented default', () => {
  expect(submission().spec).toEqual({
    name: 'a build',
    project: 'shop',
    scope: 'main/pr-7',
    zoneCeiling: 'trusted',
    submittedBy: 'ci',
    labels: {},
    weight: 1,
    timeoutMs: undefined,
    failFast: false,
    steps: [
      {
        name: 'one',
        command: ['true'],
        env: {},
        passEnv: [],
        workingDirectory: '',
        inputRoot: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855-0',
        inputBytes: 0,
        needs: [],
        outputs: [],
        selector: '',
        resources: { cpuMillis: 0, memoryBytes: 0, slots: 1, custom: {} },
        zone: 'untrusted',
        sandbox: [],
        network: false,
        cacheable: false,
        salt: '',
        sideEffects: true,
        critical: true,
        onLag: undefined,
        runIf: 'succeeded',
        priority: 0,
        queueTimeoutMs: undefined,
        runTimeoutMs: 3_600_000,
        totalTimeoutMs: undefined,
        graceMs: 10_000,
        retry: {
          // A step with side effects is not run again after its agent was lost.
          limits: { exit: 0, timeout: 0, output: 0, oom: 0, 'agent-lost': 0, 'agent-stop': 10, 'sandbox-error': 3, 'cache-error': 5 },
          initialMs: 1_000,
          maxMs: 60_000,
        },
      },
    ],
  });
});

test('a cacheable step has no side effects unless it says so, and is retried after its agent was lost', () => {
  const [, step] = withStep({ cacheable: true }).spec.steps;
  expect(step).toMatchObject({ sideEffects: false, network: false });
  expect(step?.retry.limits['agent-lost']).toBe(3);
});

test('a step with network is cacheable only where it says so', () => {
  expect(withStep({ network: true }).spec.steps[1]?.cacheable).toBe(false);
  expect(withStep({ network: true, cacheable: true }).spec.steps[1]?.cacheable).toBe(true);
});

test('a step with side effects may ask to be run again after its agent was lost', () => {
  const retry = { limits: [{ class: 'FAILURE_CLASS_AGENT_LOST', retries: 2 }] } as const;
  expect(withStep({ sideEffects: true, retry: { limits: [...retry.limits] } }).spec.steps[1]?.retry.limits['agent-lost']).toBe(2);
});

test('paths are taken in their shortest form', () => {
  const [, step] = withStep({ workingDirectory: './a//b/../c/', outputs: ['x/./y', 'z/'] }).spec.steps;
  expect(step).toMatchObject({ workingDirectory: 'a/c', outputs: ['x/y', 'z'] });
});

test.for<[string, StepSpec, string, string]>([
  ['an empty name', { name: '' }, 'steps[1].name', 'BAD_REQUEST'],
  ['a name with a slash', { name: 'a/b' }, 'steps[1].name', 'BAD_REQUEST'],
  ['a name that is taken', { name: 'zero' }, 'steps[1].name', 'BAD_REQUEST'],
  ['no command', { command: [] }, 'steps[1].command', 'BAD_REQUEST'],
  ['a NUL in an argument', { command: ['a', 'b\0'] }, 'steps[1].command[1]', 'BAD_REQUEST'],
  ['a script of 5 MB', { command: ['sh', '-c', 'x'.repeat(5_000_000)] }, 'steps[1].command', 'TOO_LARGE'],
  ['variables to pass on without end', { passEnv: Array.from({ length: 100_000 }, (_, n) => `V${n}`) }, 'steps[1].pass_env', 'TOO_LARGE'],
  ['a resource with a name of 1 MB', { resources: { custom: { ['x'.repeat(1_000_000)]: 1 } } }, 'steps[1].resources.custom', 'TOO_LARGE'],
  ['a variable with a dash', { env: { 'A-B': '1' } }, 'steps[1].env key', 'BAD_REQUEST'],
  ['an absolute working directory', { workingDirectory: '/etc' }, 'steps[1].working_directory', 'PATH_ESCAPES'],
  ['a working directory that leads out', { workingDirectory: 'a/../../b' }, 'steps[1].working_directory', 'PATH_ESCAPES'],
  ['an output that leads out', { outputs: ['ok', '../x'] }, 'steps[1].outputs[1]', 'PATH_ESCAPES'],
  ['an absolute output', { outputs: ['/tmp/x'] }, 'steps[1].outputs[0]', 'PATH_ESCAPES'],
  ['the root as an output', { outputs: ['.'] }, 'steps[1].outputs[0]', 'BAD_REQUEST'],
  ['an output twice', { outputs: ['a', './a'] }, 'steps[1].outputs[1]', 'BAD_REQUEST'],
  ['a need twice', { needs: [{ step: 'zero' }, { step: 'zero' }] }, 'steps[1].needs[1].step', 'BAD_REQUEST'],
  ['a selector that is none', { selector: 'arch in (' }, 'steps[1].selector', 'BAD_REQUEST'],
  ['a digest in capitals', { inputRoot: { hash: 'A'.repeat(64), sizeBytes: 1 } }, 'steps[1].input_root', 'BAD_REQUEST'],
  ['negative input bytes', { inputBytes: -1 }, 'steps[1].input_bytes', 'BAD_REQUEST'],
  ['negative resources', { resources: { cpuMillis: -5 } }, 'steps[1].resources.cpu_millis', 'BAD_REQUEST'],
  ['a zone above the ceiling', { zone: 'ZONE_PRODUCTION' }, 'steps[1].zone', 'FORBIDDEN'],
  ['a negative timeout', { runTimeoutMs: -1 }, 'steps[1].run_timeout_ms', 'BAD_REQUEST'],
  ['a timeout of a year', { runTimeoutMs: 31_536_000_000 }, 'steps[1].run_timeout_ms', 'BAD_REQUEST'],
  ['a priority out of bounds', { priority: 1_001 }, 'steps[1].priority', 'BAD_REQUEST'],
  ['onLag of a critical step', { onLag: { afterMs: 1, use: 'LAG_USE_SKIP' } }, 'steps[1].on_lag', 'BAD_REQUEST'],
  ['onLag without a use', { critical: false, onLag: { afterMs: 1 } }, 'steps[1].on_lag.use', 'BAD_REQUEST'],
  [
    'retries of a cancel',
    { retry: { limits: [{ class: 'FAILURE_CLASS_CANCELLED', retries: 1 }] } },
    'steps[1].retry.limits[0].class',
    'BAD_REQUEST',
  ],
  ['retries of no class', { retry: { limits: [{ retries: 1 }] } }, 'steps[1].retry.limits[0].class', 'BAD_REQUEST'],
  ['a longest wait below the first', { retry: { initialMs: 5_000, maxMs: 10 } }, 'steps[1].retry.max_ms', 'BAD_REQUEST'],
  ['side effects of a cacheable step', { cacheable: true, sideEffects: true }, 'steps[1].side_effects', 'BAD_REQUEST'],
])('%s is refused, naming the field', ([, step, field, code]) => {
  expect(() => withStep(step)).toThrow(
    expect.objectContaining({ code, field, message: expect.stringContaining(field.split(' ')[0] ?? field) }),
  );
});

test.for<[string, SubmitBuildRequest, string, string]>([
  ['no steps', { steps: [] }, 'steps', 'BAD_REQUEST'],
  ['no name', { name: '' }, 'name', 'BAD_REQUEST'],
  ['no idempotency key', { idempotencyKey: '' }, 'idempotency_key', 'BAD_REQUEST'],
  ['a weight of 1000', { weight: 1_000 }, 'weight', 'BAD_REQUEST'],
  ['a label with a line break', { labels: { a: 'b\nc' } }, 'labels["a"]', 'BAD_REQUEST'],
])('a build with %s is refused, naming the field', ([, over, field, code]) => {
  expect(() => submission(over)).toThrow(expect.objectContaining({ code, field }));
});

test('100,001 steps are refused before any of them is looked at', () => {
  const steps = Array.from({ length: 100_001 }, () => ({ name: '' }));
  expect(() => submission({ steps })).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE', field: 'steps', message: 'steps has 100001 entries, at most 100000 are taken' }),
  );
});

test.for(['main/pr-7', 'main/pr-7/try', 'main/pr-7/a/b'])('a caller of main/pr-7 may submit to %s', (scope) => {
  expect(submission({ scope }).spec).toMatchObject({ scope, zoneCeiling: 'trusted' });
});

test.for(['main', 'main/pr-8', 'main/pr-70', 'release', 'main/pr'])('a caller of main/pr-7 cannot submit to %s', (scope) => {
  expect(() => submission({ scope })).toThrow(expect.objectContaining({ code: 'FORBIDDEN', field: 'scope' }));
});

test.for([
  'main/pr-7/',
  '/main/pr-7',
  'main/pr-7/../..',
  'main/pr-7/.archive',
  '.archive',
  `main/pr-7/${'x'.repeat(200)}`,
  'main/pr-7/a b',
])('"%s" is no scope', (scope) => {
  expect(() => submission({ scope })).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', field: 'scope' }));
});

test('untrusted inputs lower scope and zone, in the same way whatever their order', () => {
  const tainted = submission({ untrustedInputs: ['fork a/b@1', 'artifact of run 7'] }).spec;
  expect(tainted.scope).toMatch(/^main\/pr-7\/untrusted-[0-9a-f]{16}$/);
  expect(tainted.zoneCeiling).toBe('untrusted');
  expect(submission({ untrustedInputs: ['artifact of run 7', 'fork a/b@1'] }).spec.scope).toBe(tainted.scope);
  expect(submission({ untrustedInputs: ['fork a/b@2', 'artifact of run 7'] }).spec.scope).not.toBe(tainted.scope);
  expect(() => submission({ untrustedInputs: ['x'], steps: [{ name: 'one', command: ['true'], zone: 'ZONE_TRUSTED' }] })).toThrow(
    expect.objectContaining({ code: 'FORBIDDEN' }),
  );
  expect(() => submission({ untrustedInputs: [''] })).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
});

test('steps of a scope that takes results from a zone on run in that zone or a higher one', () => {
  const floorOf = parseFloors(['shop/main/pr-7=trusted']);
  expect(submission({}, floorOf).spec.steps.map(({ zone }) => zone)).toEqual(['trusted']);
  expect(submission({ scope: 'main/pr-7/try' }, floorOf).spec.steps.map(({ zone }) => zone)).toEqual(['untrusted']);
  const tooHigh = parseFloors(['shop=production']);
  expect(() => submission({}, tooHigh)).toThrow(expect.objectContaining({ code: 'FORBIDDEN', field: 'scope' }));
});

test('a step of an environment gets its labels and its zone, whatever it asks for itself', () => {
  const environments = {
    staging: { selector: 'cluster=edge', params: {} },
    live: { selector: '', zone: 'trusted', params: {} },
    vault: { selector: 'cluster=release', zone: 'production', params: {} },
  } as const;
  const placed = (step: StepSpec) => {
    const { spec } = submission({ steps: [{ name: 'one', command: ['true'], ...step }] }, undefined, { ...OPEN_TOPOLOGY, environments });
    return spec.steps.map(({ selector, zone }) => ({ selector, zone }));
  };
  expect(placed({})).toEqual([{ selector: '', zone: 'untrusted' }]);
  expect(placed({ environment: 'staging' })).toEqual([{ selector: 'cluster=edge', zone: 'untrusted' }]);
  expect(placed({ environment: 'staging', selector: 'cluster=centre', zone: 'ZONE_TRUSTED' })).toEqual([
    { selector: 'cluster=centre, cluster=edge', zone: 'trusted' },
  ]);
  expect(placed({ environment: 'live', selector: 'gpu' })).toEqual([{ selector: 'gpu', zone: 'trusted' }]);
  const field = 'steps[0].environment';
  expect(() => placed({ environment: 'vault' })).toThrow(
    expect.objectContaining({
      code: 'FORBIDDEN',
      field,
      message: expect.stringContaining('the environment vault is in the zone production'),
    }),
  );
  expect(() => placed({ environment: 'stagin' })).toThrow(
    expect.objectContaining({ code: 'BAD_REQUEST', field, hint: 'Did you mean "staging"? There are staging, live, vault.' }),
  );
  expect(() => submission({ steps: [{ name: 'one', command: ['true'], environment: 'live' }] })).toThrow(
    expect.objectContaining({ code: 'BAD_REQUEST', field, hint: 'The topology has no environments.' }),
  );
});

import type { Authenticator } from '../../base/auth.ts';
import type { Caller } from '../../base/caller.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST } from '../../cache/digest.ts';
import type { BuildHandlers } from '../../proto/gen/switchyard/v1/Build.ts';
import type { CancelBuildRequest__Output } from '../../proto/gen/switchyard/v1/CancelBuildRequest.ts';
import type { GetBuildRequest__Output } from '../../proto/gen/switchyard/v1/GetBuildRequest.ts';
import type { GetBuildResponse } from '../../proto/gen/switchyard/v1/GetBuildResponse.ts';
import type { GetServerResponse } from '../../proto/gen/switchyard/v1/GetServerResponse.ts';
import type { ListBuildsRequest__Output } from '../../proto/gen/switchyard/v1/ListBuildsRequest.ts';
import type { ListBuildsResponse } from '../../proto/gen/switchyard/v1/ListBuildsResponse.ts';
import type { RetryStepRequest__Output } from '../../proto/gen/switchyard/v1/RetryStepRequest.ts';
import type { StreamLogRequest__Output } from '../../proto/gen/switchyard/v1/StreamLogRequest.ts';
import type { StreamLogResponse } from '../../proto/gen/switchyard/v1/StreamLogResponse.ts';
import type { SubmitBuildRequest__Output } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import type { SubmitBuildResponse } from '../../proto/gen/switchyard/v1/SubmitBuildResponse.ts';
import type { WatchBuildRequest__Output } from '../../proto/gen/switchyard/v1/WatchBuildRequest.ts';
import type { WatchBuildResponse } from '../../proto/gen/switchyard/v1/WatchBuildResponse.ts';
import { zoneToProto } from '../../proto/convert.ts';
import { serverStream, unary, type Call } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import { MESSAGE_BYTES_MAX, type ServedService } from '../../proto/serve.ts';
import { isStepName, parseBuildId, stepIdOf, type BuildId, type StepId } from '../core/ids.ts';
import { LIMITS } from '../core/limits.ts';
import type { Event } from '../core/event.ts';
import type { Reply } from '../core/outcome.ts';
import type { BuildView } from '../core/view.ts';
import { newBuildId } from '../shell/build-ids.ts';
import type { CoreView } from '../shell/core-view.ts';
import type { Driver } from '../shell/driver.ts';
import { instanceNameOf } from '../shell/instance-name.ts';
import { readStepLog } from '../shell/step-log.ts';
import type { LogStore } from '../shell/logs.ts';
import type { Watch } from '../shell/watch.ts';
import { callerFor, refuseForeignBuild, type BuildRpc } from './access.ts';
import { buildSummaryToProto, explanationToProto, stepsPage } from './build-view.ts';
import { bad, brief, textField, wholeField } from './fields.ts';
import { agentsToProto, filterFromProto, holdEventFromProto } from './operate.ts';
import { submissionFromProto, type Submission } from './submit.ts';
import { watchItemToProto } from './watch-event.ts';

export type BuildServiceOptions = {
  readonly driver: Driver;
  readonly core: CoreView;
  readonly watch: Watch;
  readonly logs: LogStore;
  /** Where a caller's inputs are. */
  readonly storeFor: (instanceName: string) => BlobStore;
  readonly storeOf: (build: BuildId) => BlobStore;
  readonly authenticator: Authenticator;
  readonly dataAddress: () => string;
  /** Version of the program. */
  readonly version: string;
  readonly env: Env;
};

/** Digests of one question to the store. */
const MISSING_BATCH = 5_000;
/** Longest wait for the store during a submission. */
const STORE_MS = 30_000;
/** Commits under way at which new builds are put off. */
const BACKLOG_MAX = 50_000;

/** The Build service: translates, checks who asks and what, and leaves the rest to driver, watch and logs. */
export function buildService(options: BuildServiceOptions): ServedService {
  const { env } = options;
  const called = <Req, Res>(rpc: BuildRpc, run: (request: Req, caller: Caller, call: Call) => Promise<Res>) =>
    unary<Req, Res>(env, `Build.${rpc}`, async (request, call) => run(request, callerFor(rpc, call.evidence, options.authenticator), call));
  const streamed = <Req, Res>(rpc: BuildRpc, run: (request: Req, caller: Caller, call: Call) => AsyncIterable<Res>) =>
    serverStream<Req, Res>(env, `Build.${rpc}`, (request, call) =>
      run(request, callerFor(rpc, call.evidence, options.authenticator), call),
    );
  const handlers: BuildHandlers = {
    GetServer: called('GetServer', async (_request, caller) => serverOf(options, caller)),
    SubmitBuild: called('SubmitBuild', (request, caller, call) => submit(options, request, caller, call)),
    GetBuild: called('GetBuild', (request, caller) => getBuild(options, request, caller)),
    ListBuilds: called('ListBuilds', (request, caller) => listBuilds(options, request, caller)),
    WatchBuild: streamed('WatchBuild', (request, caller, call) => watchBuild(options, request, caller, call)),
    CancelBuild: called('CancelBuild', (request, caller) => cancel(options, request, caller)),
    RetryStep: called('RetryStep', (request, caller) => retry(options, request, caller)),
    StreamLog: streamed('StreamLog', (request, caller, call) => streamLog(options, request, caller, call)),
    ExplainStep: called('ExplainStep', async (request, caller) => {
      const step = stepFor(options, caller, request.buildId, request.step);
      const explanation = options.core.explain(step, options.driver.now());
      if (explanation === undefined) throw new Fault('STEP_UNKNOWN', `The build has no step ${brief(request.step)}`, { field: 'step' });
      return explanationToProto(explanation);
    }),
    ListAgents: called('ListAgents', async () => {
      await options.driver.settled();
      return agentsToProto(options.core);
    }),
    SetHold: called('SetHold', async (request, caller) => {
      await done(options, holdEventFromProto(request, caller, options.driver.now()));
      return {};
    }),
  };
  return { definition: loadProto().switchyard.v1.Build.service, handlers };
}

function serverOf(options: BuildServiceOptions, caller: Caller): GetServerResponse {
  return {
    version: options.version,
    dataAddress: options.dataAddress(),
    project: caller.project,
    scope: caller.scope,
    role: caller.role,
    zoneCeiling: zoneToProto(caller.zoneCeiling),
    instanceName: instanceNameOf(caller.project, caller.scope),
    requestBytesMax: MESSAGE_BYTES_MAX,
    stepsPerBuildMax: LIMITS.stepsPerBuild,
    nowMs: options.env.clock.now(),
  };
}

async function submit(
  options: BuildServiceOptions,
  request: SubmitBuildRequest__Output,
  caller: Caller,
  call: Call,
): Promise<SubmitBuildResponse> {
  const submission = submissionFromProto(request, caller);
  if (options.driver.backlog > BACKLOG_MAX) {
    throw new Fault('LIMIT_EXCEEDED', 'The ledger has fallen behind: no new builds for a moment', { retryAfterMs: 2_000 });
  }
  const id = newBuildId(options.driver.now());
  if (options.core.buildOfKey(caller, submission.idempotencyKey) === undefined)
    await refuseMissingInputs(options, submission, caller, call);
  const reply = await options.driver.submit({ kind: 'build-submitted', id, ...submission });
  if (reply.kind !== 'build') throw refusalOf(reply);
  options.env.log.info('build-accepted', {
    build: reply.id,
    project: caller.project,
    steps: request.steps.length,
    existing: reply.existing,
  });
  return { buildId: reply.id, existing: reply.existing };
}

/** @throws {Fault} WRONG_STATE naming the first step whose input tree is not in the store. */
async function refuseMissingInputs(options: BuildServiceOptions, { spec }: Submission, caller: Caller, call: Call): Promise<void> {
  const firstUse = new Map(spec.steps.map((step, index) => [step.inputRoot, index] as const).toReversed());
  firstUse.delete(EMPTY_DIGEST);
  const roots = [...firstUse.keys()];
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(STORE_MS)]);
  const store = options.storeFor(instanceNameOf(caller.project, caller.scope));
  for (let start = 0; start < roots.length; start += MISSING_BATCH) {
    const missing = await store.findMissing(roots.slice(start, start + MISSING_BATCH), signal);
    const index = Math.min(...missing.map((digest) => firstUse.get(digest) ?? Infinity));
    const step = spec.steps[index];
    if (step === undefined) continue;
    const field = `steps[${index}].input_root`;
    throw new Fault('WRONG_STATE', `${field}: the input tree ${step.inputRoot} of step ${step.name} is not in the store`, {
      field,
      hint: 'Upload the whole tree to the data plane first, under the instance_name that GetServer gives.',
    });
  }
}

async function getBuild(options: BuildServiceOptions, request: GetBuildRequest__Output, caller: Caller): Promise<GetBuildResponse> {
  const view = buildFor(options, caller, request.buildId);
  const { pageToken } = request;
  const from = pageToken === '' ? 0 : wholeField(pageToken, 'page_token', 1, view.steps.length);
  const { steps, next } = stepsPage(view.steps, from);
  const answer = {
    build: buildSummaryToProto(view),
    steps,
    nextPageToken: next === undefined ? '' : String(next),
    cursor: options.watch.cursorAt(view.lastEventSeq),
  };
  await options.driver.settled(); // nothing is shown that a crash could take back
  return answer;
}

async function listBuilds(options: BuildServiceOptions, request: ListBuildsRequest__Output, caller: Caller): Promise<ListBuildsResponse> {
  const filter = filterFromProto(request, caller.project);
  const found = options.core.builds({ ...filter, limit: filter.limit + 1 });
  const builds = found.slice(0, filter.limit);
  const answer = {
    builds: builds.map(buildSummaryToProto),
    nextPageToken: found.length > builds.length ? (builds.at(-1)?.record.id ?? '') : '',
  };
  await options.driver.settled();
  return answer;
}

async function* watchBuild(
  options: BuildServiceOptions,
  request: WatchBuildRequest__Output,
  caller: Caller,
  call: Call,
): AsyncGenerator<WatchBuildResponse> {
  const { record } = buildFor(options, caller, request.buildId);
  for await (const item of options.watch.events(record.id, request.cursor, call.signal)) yield watchItemToProto(item);
}

async function* streamLog(
  options: BuildServiceOptions,
  request: StreamLogRequest__Output,
  caller: Caller,
  call: Call,
): AsyncGenerator<StreamLogResponse> {
  const step = stepFor(options, caller, request.buildId, request.step);
  const attempt = wholeField(request.attempt, 'attempt', 0, 1_000_000);
  const offset = wholeField(request.offset, 'offset', 0, Number.MAX_SAFE_INTEGER);
  for await (const piece of readStepLog(options, { step, attempt, offset, follow: request.follow }, call.signal)) {
    if (piece.bytes.byteLength === 0 && !piece.complete) continue;
    yield { offset: piece.offset, data: piece.bytes, attempt: piece.attempt, complete: piece.complete, truncated: piece.truncated };
  }
}

async function cancel(options: BuildServiceOptions, request: CancelBuildRequest__Output, caller: Caller): Promise<object> {
  const reason = textField(request.reason, 'reason', 0, 1_024);
  const by = caller.name;
  const { record } = buildFor(options, caller, request.buildId);
  refuseForeignBuild(caller, record.spec);
  if (request.step === '') await done(options, { kind: 'build-cancelled', id: record.id, by, reason });
  else await done(options, { kind: 'step-cancelled', step: stepFor(options, caller, request.buildId, request.step), by, reason });
  return {};
}

async function retry(options: BuildServiceOptions, request: RetryStepRequest__Output, caller: Caller): Promise<object> {
  refuseForeignBuild(caller, buildFor(options, caller, request.buildId).record.spec);
  await done(options, { kind: 'step-retried', step: stepFor(options, caller, request.buildId, request.step), by: caller.name });
  return {};
}

async function done(options: BuildServiceOptions, event: Event): Promise<void> {
  const reply = await options.driver.submit(event);
  if (reply.kind === 'refused') throw refusalOf(reply);
}

function refusalOf(reply: Reply): Fault {
  if (reply.kind !== 'refused') return new Fault('INTERNAL', `An event was answered with ${reply.kind}`);
  const { field, retryAfterMs } = reply;
  return new Fault(reply.code, reply.message, {
    ...(field === undefined ? {} : { field }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** The build, if it is of the caller's project: the others are unknown to it. @throws {Fault} BUILD_UNKNOWN */
function buildFor(options: BuildServiceOptions, caller: Caller, text: string): BuildView {
  const id = parseBuildId(text);
  if (id === undefined) throw bad('build_id', `must be "b-" and 26 characters, but is "${brief(text)}"`);
  const view = options.core.build(id);
  if (view === undefined || view.record.spec.project !== caller.project) {
    throw new Fault('BUILD_UNKNOWN', `No build ${id} is known in the project ${caller.project}`, { field: 'build_id' });
  }
  return view;
}

/** @throws {Fault} BUILD_UNKNOWN, STEP_UNKNOWN */
function stepFor(options: BuildServiceOptions, caller: Caller, build: string, name: string): StepId {
  const { record } = buildFor(options, caller, build);
  const step = isStepName(name) ? stepIdOf(record.id, name) : undefined;
  if (step === undefined || options.core.step(step) === undefined) {
    throw new Fault('STEP_UNKNOWN', `The build has no step "${brief(name)}"`, { field: 'step' });
  }
  return step;
}

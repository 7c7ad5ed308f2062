import type { Caller } from '../../base/caller.ts';
import type { TimeMs } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import type { BreakerView } from '../../base/breaker.ts';
import { Fault, isFault, wrap } from '../../base/fault.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { EMPTY_DIGEST } from '../../cache/digest.ts';
import type { FloorOf } from '../../cache/quotas.ts';
import type { BuildHandlers } from '../../proto/gen/switchyard/v1/Build.ts';
import type { CancelBuildRequest__Output } from '../../proto/gen/switchyard/v1/CancelBuildRequest.ts';
import type { ExplainStepRequest__Output } from '../../proto/gen/switchyard/v1/ExplainStepRequest.ts';
import type { ExplainStepResponse } from '../../proto/gen/switchyard/v1/ExplainStepResponse.ts';
import type { GetBuildRequest__Output } from '../../proto/gen/switchyard/v1/GetBuildRequest.ts';
import type { GetBuildResponse } from '../../proto/gen/switchyard/v1/GetBuildResponse.ts';
import type { GetServerResponse } from '../../proto/gen/switchyard/v1/GetServerResponse.ts';
import type { ListBuildsRequest__Output } from '../../proto/gen/switchyard/v1/ListBuildsRequest.ts';
import type { ListBuildsResponse } from '../../proto/gen/switchyard/v1/ListBuildsResponse.ts';
import type { RetryStepRequest__Output } from '../../proto/gen/switchyard/v1/RetryStepRequest.ts';
import type { SetHoldRequest__Output } from '../../proto/gen/switchyard/v1/SetHoldRequest.ts';
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
import type { Archive } from '../archive/archive.ts';
import { LIMITS } from '../core/limits.ts';
import type { Event } from '../core/event.ts';
import type { BuildView } from '../core/view.ts';
import type { Leader } from '../ledger/ledger.ts';
import type { RoleSource } from '../role/role.ts';
import { archivedEvents, archivedLog } from '../shell/archived-build.ts';
import { newBuildId } from '../shell/build-ids.ts';
import type { CoreView } from '../shell/core-view.ts';
import { instanceNameOf } from '../shell/instance-name.ts';
import type { Shell } from '../shell/shell.ts';
import { sleep } from '../shell/sleep.ts';
import { callerOf, refuseForeignBuild } from './access.ts';
import { hotOrArchived, type Found } from './archived.ts';
import { buildSummaryToProto, explanationToProto, stepsPage } from './build-view.ts';
import { bundled } from './bundled.ts';
import { confirmed, refusalOf } from './confirmed.ts';
import { bad, brief, textField, wholeField } from './fields.ts';
import { wasForwarded, type ForwardedMethod, type Forwarder } from './forward.ts';
import { agentsToProto, filterFromProto, holdEventFromProto } from './operate.ts';
import { readBuild, readLog, watchBuildEvents, type BuildNow, type LedgerReads } from './reads.ts';
import { scaleIn } from './scale-in.ts';
import { submissionFromProto, type Submission } from './submit.ts';
import { getEnvironment } from './environment.ts';
import { applyTopology, getTopology, listTopologies, planTopology } from './topology.ts';
import { BUNDLE_WEIGHT, watchBundleToProto, watchItemToProto, watchItemWeight } from './watch-event.ts';

export type BuildServiceOptions = {
  readonly role: RoleSource;
  /** How builds are read while another coordinator leads; undefined on a ledger of this process alone. */
  readonly reads: LedgerReads | undefined;
  readonly forwarder: Forwarder;
  /** Where builds are that have left the ledger. */
  readonly archive: Pick<Archive, 'find'>;
  /** Where a caller's inputs are. */
  readonly storeFor: (instanceName: string) => BlobStore;
  /** From which zone on each scope takes results. @default any */
  readonly floorOf?: FloorOf;
  /** Breakers of what this coordinator needs itself. @default none */
  readonly dependencies?: () => readonly BreakerView[];
  readonly dataAddress: () => string;
  /** Where this coordinator is reached. */
  readonly address: () => string;
  /** Version of the program. */
  readonly version: string;
  readonly env: Env;
};

/** With what only a leader has. */
type Leading = BuildServiceOptions & Pick<Shell, 'driver' | 'core'>;

/** Digests of one question to the store. */
const MISSING_BATCH = 5_000;
/** Longest wait for the store during a submission. */
const STORE_MS = 30_000;
/** When a build that could not be looked at may be sent again, where the store says nothing of it. */
const STORE_AGAIN_MS = 2_000;
/** Commits under way at which new builds are put off. */
const BACKLOG_MAX = 50_000;
/** Longest wait for the ledger to say what time it is. */
const LEDGER_TIME_MS = 500;
/** Longest wait for the leader to say where its data plane is. */
const LEADERS_WORD_MS = 1_000;
/** Longest wait for somebody to lead, for calls that need a leader. */
const LEADER_MS = 3_000;

/**
 * The Build service: translates, checks who asks and what, and leaves the rest to the shell. While another coordinator leads,
 * builds, events and logs are read from the ledger, and the leader answers the rest.
 */
export function buildService(options: BuildServiceOptions): ServedService {
  const { env } = options;
  const called = <Req, Res>(rpc: string, run: (request: Req, caller: Caller, call: Call) => Promise<Res>) =>
    unary<Req, Res>(env, `Build.${rpc}`, async (request, call) => run(request, callerOf(call), call));
  const streamed = <Req, Res>(rpc: string, run: (request: Req, caller: Caller, call: Call) => AsyncIterable<Res>) =>
    serverStream<Req, Res>(env, `Build.${rpc}`, (request, call) => run(request, callerOf(call), call));
  /** A call that only the leader answers. */
  const led = <Req extends object, Res extends object>(
    rpc: string,
    method: ForwardedMethod,
    run: (leading: Leading, request: Req, caller: Caller, call: Call) => Promise<Res>,
  ) =>
    called<Req, Res>(rpc, async (request, caller, call) => {
      const now = options.role.current();
      const role = now.kind === 'leading' ? now : await options.role.known(wasForwarded(call) ? 0 : LEADER_MS, call.signal);
      if (role.kind === 'leading') return run({ ...options, driver: role.shell.driver, core: role.shell.core }, request, caller, call);
      // The leader's answer to the same method of the same service.
      return (await options.forwarder.unary(role.leader, method, request, call)) as Res;
    });
  const handlers: BuildHandlers = {
    GetServer: called('GetServer', (_request, caller, call) => serverOf(options, caller, call)),
    SubmitBuild: led('SubmitBuild', 'submitBuild', submit),
    GetBuild: called('GetBuild', (request, caller, call) => getBuild(options, request, caller, call)),
    ListBuilds: led('ListBuilds', 'listBuilds', listBuilds),
    WatchBuild: streamed('WatchBuild', (request, caller, call) => watchBuild(options, request, caller, call)),
    CancelBuild: led('CancelBuild', 'cancelBuild', cancel),
    RetryStep: led('RetryStep', 'retryStep', retry),
    StreamLog: streamed('StreamLog', (request, caller, call) => streamLog(options, request, caller, call)),
    ExplainStep: led('ExplainStep', 'explainStep', explain),
    ListAgents: led('ListAgents', 'listAgents', async ({ driver, core }) => {
      await confirmed(driver, () => driver.settled());
      return agentsToProto(core, options.dependencies?.() ?? [], driver.now());
    }),
    SetHold: led('SetHold', 'setHold', async (leading, request: SetHoldRequest__Output, caller) => {
      await done(leading, holdEventFromProto(request, caller, leading.driver.now()));
      return {};
    }),
    ScaleIn: led('ScaleIn', 'scaleIn', scaleIn),
    GetTopology: led('GetTopology', 'getTopology', getTopology),
    GetEnvironment: led('GetEnvironment', 'getEnvironment', getEnvironment),
    ListTopologies: led('ListTopologies', 'listTopologies', listTopologies),
    PlanTopology: led('PlanTopology', 'planTopology', planTopology),
    ApplyTopology: led('ApplyTopology', 'applyTopology', applyTopology),
  };
  return { definition: loadProto().switchyard.v1.Build.service, handlers };
}

async function serverOf(options: BuildServiceOptions, caller: Caller, call: Call): Promise<GetServerResponse> {
  const nowMs = await timeOf(options, call.signal);
  const role = options.role.current();
  const leads = role.kind === 'leading';
  return {
    coordinatorRole: leads ? 'COORDINATOR_ROLE_LEADING' : 'COORDINATOR_ROLE_FOLLOWING',
    leaderAddress: leads ? options.address() : (role.leader?.address ?? ''),
    version: options.version,
    dataAddress: leads ? options.dataAddress() : await dataAddressOf(role.leader, options, call),
    project: caller.project,
    scope: caller.scope,
    role: caller.role,
    zoneCeiling: zoneToProto(caller.zoneCeiling),
    instanceName: instanceNameOf(caller.project, caller.scope),
    requestBytesMax: MESSAGE_BYTES_MAX,
    stepsPerBuildMax: LIMITS.stepsPerBuild,
    nowMs,
  };
}

/**
 * The data plane that agents use, which is the leader's: what a caller leaves there they have without the store behind it. Where the
 * leader does not say it soon, this coordinator's own.
 */
async function dataAddressOf(
  leader: Leader | undefined,
  { forwarder, dataAddress, env }: BuildServiceOptions,
  call: Call,
): Promise<string> {
  if (leader === undefined || wasForwarded(call)) return dataAddress();
  try {
    // The leader's answer to the same method of the same service.
    const answer = (await forwarder.unary(leader, 'getServer', {}, call, LEADERS_WORD_MS)) as GetServerResponse;
    return answer.dataAddress ?? dataAddress();
  } catch (error) {
    env.log.debug('leader-not-asked', { leader: leader.address, error });
    return dataAddress();
  }
}

/** The time that builds' times are in, as near as this coordinator can tell: a ledger that is away is not waited for. */
async function timeOf({ role, reads, env }: BuildServiceOptions, signal: AbortSignal): Promise<TimeMs> {
  const now = role.current();
  if (now.kind === 'leading') return now.shell.driver.now();
  if (reads === undefined) return env.clock.now();
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const late = sleep(LEDGER_TIME_MS, either).then(() => undefined);
  const said = await Promise.race([reads.ledger.now(either).catch(() => undefined), late]);
  over.abort();
  return said ?? env.clock.now();
}

async function submit(options: Leading, request: SubmitBuildRequest__Output, caller: Caller, call: Call): Promise<SubmitBuildResponse> {
  const submission = submissionFromProto(request, caller, options.floorOf, options.core.topology);
  if (options.driver.backlog > BACKLOG_MAX) {
    throw new Fault('LIMIT_EXCEEDED', 'The ledger has fallen behind: no new builds for a moment', { retryAfterMs: 2_000 });
  }
  const id = newBuildId(options.driver.now());
  if (options.core.buildOfKey(submission.spec, submission.idempotencyKey) === undefined)
    await refuseMissingInputs(options, submission, call);
  const reply = await confirmed(options.driver, () => options.driver.submit({ kind: 'build-submitted', id, ...submission }));
  if (reply.kind !== 'build') throw refusalOf(reply);
  options.env.log.info('build-accepted', {
    build: reply.id,
    project: caller.project,
    steps: request.steps.length,
    existing: reply.existing,
  });
  return { buildId: reply.id, existing: reply.existing, scope: submission.spec.scope };
}

/** Faults of a store that is away; CANCELLED where our own patience was over. */
const AWAY = ['STORE_UNAVAILABLE', 'BUCKET_UNAVAILABLE', 'PEER_UNAVAILABLE', 'DEADLINE', 'CANCELLED'] as const;

/** Why the inputs of a build could not be looked at, so that it is not taken now. */
function unchecked(error: unknown): Fault {
  const fault = wrap(error, 'Looking for the inputs of the build');
  if (!AWAY.some((code) => isFault(fault, code))) return fault;
  const { message, retryAfterMs = STORE_AGAIN_MS } = fault;
  const hint = 'The build was not accepted; submit it again with the same idempotency key.';
  return new Fault('STORE_UNAVAILABLE', message, { retryAfterMs, hint, cause: error });
}

/** @throws {Fault} WRONG_STATE naming the first step whose input tree is not in the store. */
async function refuseMissingInputs(options: Leading, { spec }: Submission, call: Call): Promise<void> {
  const firstUse = new Map(spec.steps.map((step, index) => [step.inputRoot, index] as const).toReversed());
  firstUse.delete(EMPTY_DIGEST);
  const roots = [...firstUse.keys()];
  if (roots.length === 0) return;
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(STORE_MS)]);
  const store = options.storeFor(instanceNameOf(spec.project, spec.scope));
  for (let start = 0; start < roots.length; start += MISSING_BATCH) {
    const batch = roots.slice(start, start + MISSING_BATCH);
    const missing = await store.findMissing(batch, signal).catch((error: unknown) => {
      throw call.signal.aborted ? error : unchecked(error);
    });
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

async function getBuild(
  options: BuildServiceOptions,
  request: GetBuildRequest__Output,
  caller: Caller,
  call: Call,
): Promise<GetBuildResponse> {
  const { pageToken } = request;
  const id = buildIdField(request.buildId);
  const found = await read(options, id, pageToken !== '', caller, call, (now) => {
    const view = visible(now.view, caller, id);
    const from = pageToken === '' ? 0 : wholeField(pageToken, 'page_token', 1, view.steps.length);
    const { steps, next } = stepsPage(view.steps, from);
    return { build: buildSummaryToProto(view), steps, nextPageToken: next === undefined ? '' : String(next), cursor: now.cursor };
  });
  return found.value;
}

/** `show` of the build, in the ledger or in the archive. */
function read<T>(
  options: BuildServiceOptions,
  id: BuildId,
  page: boolean,
  caller: Caller,
  { signal }: Call,
  show: (now: BuildNow) => T,
): Promise<Found<T>> {
  return hotOrArchived(options, caller, id, signal, (shown) => readBuild(options, id, page, signal, shown), show);
}

async function listBuilds(options: Leading, request: ListBuildsRequest__Output, caller: Caller): Promise<ListBuildsResponse> {
  const filter = filterFromProto(request, caller.project);
  // A build tool's actions are many: they are listed where labels ask for them.
  const actions = filter.labels === undefined ? { actions: false } : {};
  const found = options.core.builds({ ...filter, ...actions, limit: filter.limit + 1 });
  const builds = found.slice(0, filter.limit);
  const answer = {
    builds: builds.map(buildSummaryToProto),
    nextPageToken: found.length > builds.length ? (builds.at(-1)?.record.id ?? '') : '',
  };
  await confirmed(options.driver, () => options.driver.settled());
  return answer;
}

async function* watchBuild(
  options: BuildServiceOptions,
  request: WatchBuildRequest__Output,
  caller: Caller,
  call: Call,
): AsyncGenerator<WatchBuildResponse> {
  const id = buildIdField(request.buildId);
  const found = await read(options, id, true, caller, call, ({ view }) => visible(view, caller, id));
  const items =
    found.kind === 'hot' ? watchBuildEvents(options, id, request.cursor, call.signal) : archivedEvents(found.build, request.cursor);
  if (!request.bundles) for await (const item of items) yield watchItemToProto(item);
  else for await (const bundle of bundled(items, watchItemWeight, BUNDLE_WEIGHT)) yield watchBundleToProto(bundle);
}

async function* streamLog(
  options: BuildServiceOptions,
  request: StreamLogRequest__Output,
  caller: Caller,
  call: Call,
): AsyncGenerator<StreamLogResponse> {
  const id = buildIdField(request.buildId);
  const stepIn = ({ core, view }: BuildNow) => stepOf(core, visible(view, caller, id), request.step);
  const found = await read(options, id, true, caller, call, stepIn);
  const step = found.value;
  const attempt = wholeField(request.attempt, 'attempt', 0, 1_000_000);
  const offset = wholeField(request.offset, 'offset', 0, Number.MAX_SAFE_INTEGER);
  const wanted = { step, attempt, offset, follow: request.follow };
  const pieces = found.kind === 'hot' ? readLog(options, wanted, call.signal) : archivedLog(found.build, found.store, wanted, call.signal);
  for await (const piece of pieces) {
    if (piece.bytes.byteLength === 0 && !piece.complete) continue;
    yield { offset: piece.offset, data: piece.bytes, attempt: piece.attempt, complete: piece.complete, truncated: piece.truncated };
  }
}

async function explain(options: Leading, request: ExplainStepRequest__Output, caller: Caller): Promise<ExplainStepResponse> {
  const step = stepFor(options, caller, request.buildId, request.step);
  const explanation = options.core.explain(step, options.driver.now());
  if (explanation === undefined) throw new Fault('STEP_UNKNOWN', `The build has no step ${brief(request.step)}`, { field: 'step' });
  return explanationToProto(explanation);
}

async function cancel(options: Leading, request: CancelBuildRequest__Output, caller: Caller): Promise<object> {
  const reason = textField(request.reason, 'reason', 0, 1_024);
  const by = caller.name;
  const { record } = buildFor(options, caller, request.buildId);
  refuseForeignBuild(caller, record.spec);
  if (request.step === '') await done(options, { kind: 'build-cancelled', id: record.id, by, reason });
  else await done(options, { kind: 'step-cancelled', step: stepFor(options, caller, request.buildId, request.step), by, reason });
  return {};
}

async function retry(options: Leading, request: RetryStepRequest__Output, caller: Caller): Promise<object> {
  refuseForeignBuild(caller, buildFor(options, caller, request.buildId).record.spec);
  await done(options, { kind: 'step-retried', step: stepFor(options, caller, request.buildId, request.step), by: caller.name });
  return {};
}

async function done(options: Leading, event: Event): Promise<void> {
  const reply = await confirmed(options.driver, () => options.driver.submit(event));
  if (reply.kind === 'refused') throw refusalOf(reply);
}

/** The build, if it is of the caller's project: the others are unknown to it. @throws {Fault} BUILD_UNKNOWN */
function buildFor(options: Leading, caller: Caller, text: string): BuildView {
  const id = buildIdField(text);
  return visible(options.core.build(id), caller, id);
}

function buildIdField(text: string): BuildId {
  const id = parseBuildId(text);
  if (id === undefined) throw bad('build_id', `must be "b-" and 26 characters, but is "${brief(text)}"`);
  return id;
}

function visible(view: BuildView | undefined, caller: Caller, id: BuildId): BuildView {
  if (view === undefined || view.record.spec.project !== caller.project) {
    const hint = 'A build that ended long ago may be read, while the archive keeps it, and not be changed.';
    throw new Fault('BUILD_UNKNOWN', `No build ${id} is known in the project ${caller.project}`, { field: 'build_id', hint });
  }
  return view;
}

/** @throws {Fault} BUILD_UNKNOWN, STEP_UNKNOWN */
function stepFor(options: Leading, caller: Caller, build: string, name: string): StepId {
  return stepOf(options.core, buildFor(options, caller, build), name);
}

function stepOf(core: CoreView, { record }: BuildView, name: string): StepId {
  const step = isStepName(name) ? stepIdOf(record.id, name) : undefined;
  if (step === undefined || core.step(step) === undefined) {
    throw new Fault('STEP_UNKNOWN', `The build has no step "${brief(name)}"`, { field: 'step' });
  }
  return step;
}

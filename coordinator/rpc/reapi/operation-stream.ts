import { Fault, isFault } from '../../../base/fault.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import type { InlineWishes } from '../../../cache/rpc/digest-request.ts';
import { inlined } from '../../../cache/rpc/inline.ts';
import type { ExecuteResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteResponse.ts';
import type { Operation } from '../../../proto/gen/google/longrunning/Operation.ts';
import type { BuildId } from '../../core/ids.ts';
import type { BuildView, StepView } from '../../core/view.ts';
import { loadProto } from '../../../proto/load.ts';
import { instanceNameOf } from '../../shell/instance-name.ts';
import { confirmed } from '../confirmed.ts';
import { lookUpAction } from './action-message.ts';
import { NO_AGENT, responseOf } from './execute-response.ts';
import type { DirectoryCache } from './input-tree.ts';
import { actionStep, missingStatus, operationEnded, operationUnderWay } from './operation.ts';
import type { Leading } from './options.ts';

export type Watching = Leading & {
  readonly directories: DirectoryCache;
  /** Blobs that are to be in the result itself. @default none */
  readonly wishes?: InlineWishes;
};

/**
 * The operation as it stands, at once; then at every change, and from time to time without one; its end comes last. As long as
 * somebody reads this, the action is wanted.
 * @throws {Fault} NO_LEADER or DRAINING where this coordinator cannot go on with it; BUILD_UNKNOWN
 */
export async function* watchOperation(watching: Watching, build: BuildId, signal: AbortSignal): AsyncGenerator<Operation> {
  using _wanted = watching.interest.hold(build);
  const { watch, core, role, over } = watching;
  const either = AbortSignal.any([signal, role.stopping, over]);
  // All three of one moment: what happens while the first one is on its way comes from the watch.
  let shown = shownOf(watching, build);
  const from = watch.cursorAt(core.build(build)?.lastEventSeq ?? 0);
  const now = operationNow(watching, build, signal);
  yield now;
  if ((await now).done === true) return;
  try {
    for await (const { event } of watch.events(build, from, either)) {
      if (event === undefined) await giveUpWithoutAgent(watching, build);
      const next = shownOf(watching, build);
      if (event !== undefined && next === shown) continue;
      shown = next;
      const operation = await operationNow(watching, build, signal);
      yield operation;
      if (operation.done === true) return;
    }
  } catch (error) {
    if (!either.aborted || signal.aborted || (isFault(error) && error.code !== 'CANCELLED')) throw error;
  }
  signal.throwIfAborted();
  if (role.stopping.aborted || over.aborted) {
    throw new Fault('DRAINING', 'This coordinator leads no more: wait for the operation at another one', { retryAfterMs: 100 });
  }
  yield operationNow(watching, build, signal); // the last event came before the watch began
}

/** What of the operation a change of is told. */
function shownOf({ core }: Watching, build: BuildId): string {
  const step = actionStep(core.build(build));
  if (step === undefined) return '';
  const { state, attemptCount } = step.record;
  return `${state.kind} ${attemptCount}`;
}

/** The operation as it stands; its end is durable when this returns. @throws {Fault} BUILD_UNKNOWN */
export async function operationNow(watching: Watching, build: BuildId, signal: AbortSignal): Promise<Operation> {
  const view = watching.core.build(build);
  const step = actionStep(view);
  if (view === undefined || step === undefined) throw unknownOperation();
  const { state } = step.record;
  if (state.kind !== 'ended') return operationUnderWay(view, step);
  const operation = operationEnded(view, step, await endOf(watching, view, step, signal));
  await confirmed(watching.driver, () => watching.driver.settled());
  return operation;
}

async function endOf(watching: Watching, view: BuildView, step: StepView, signal: AbortSignal): Promise<ExecuteResponse> {
  const { state } = step.record;
  const { given } = step.spec;
  const { project, scope } = view.record.spec;
  const instanceName = instanceNameOf(project, scope);
  const store = watching.storeFor(instanceName);
  if (state.kind !== 'ended' || given === undefined) throw new Fault('INTERNAL', `Operation ${view.record.id} has not ended`);
  const { outcome } = state;
  if (outcome.kind === 'errored' && outcome.class === 'cache-error') {
    const place = { instanceName, store, directories: watching.directories };
    const found = await lookUpAction(place, given.action, signal).catch(() => undefined); // then the error itself is the answer
    if (found?.kind === 'missing') return { status: missingStatus(found.digests) };
  }
  return withWishes(withQueued(responseOf(outcome, step.spec), step), watching.wishes, store, signal);
}

/** With the blobs that the caller would have at once; where they cannot be read it has their digests. */
async function withWishes(
  response: ExecuteResponse,
  wishes: InlineWishes | undefined,
  store: BlobStore,
  signal: AbortSignal,
): Promise<ExecuteResponse> {
  const wishesAny = wishes !== undefined && (wishes.inlineStdout || wishes.inlineStderr || wishes.inlineOutputFiles.length > 0);
  if (!wishesAny || response.result === undefined || response.result === null) return response;
  const codec = loadProto().build.bazel.remote.execution.v2.ActionResult;
  const bytes = codec.serialize(response.result);
  try {
    return { ...response, result: await inlined(codec.deserialize(bytes), wishes, bytes.byteLength, store, signal) };
  } catch (error) {
    signal.throwIfAborted();
    if (!isFault(error)) throw error;
    return response;
  }
}

/** With the time at which it was queued here, which no agent knows. Times of agents are not before it, whatever their clocks say. */
function withQueued(response: ExecuteResponse, { record: { readyAt, state } }: StepView): ExecuteResponse {
  const { result } = response;
  const metadata = result?.executionMetadata;
  const ownRun = state.kind === 'ended' && !(state.outcome.kind === 'succeeded' && state.outcome.from === 'cache');
  if (!ownRun || readyAt === undefined || result === undefined || result === null || !metadata) return response;
  const start = metadata.workerStartTimestamp;
  const startMs = Number(start?.seconds ?? 0) * 1_000 + (start?.nanos ?? 0) / 1_000_000;
  const queuedMs = Math.min(Math.round(readyAt), startMs);
  const queuedTimestamp = { seconds: Math.floor(queuedMs / 1_000), nanos: Math.round((queuedMs % 1_000) * 1_000_000) };
  return { ...response, result: { ...result, executionMetadata: { ...metadata, queuedTimestamp } } };
}

/** Ends the wait for an agent of a kind that has not been there for long enough. */
async function giveUpWithoutAgent({ core, driver, noAgentMs }: Watching, build: BuildId): Promise<void> {
  const step = actionStep(core.build(build));
  if (step?.record.state.kind !== 'queued') return;
  const { readyAt } = step.record;
  if (readyAt === undefined || driver.now() - readyAt < noAgentMs) return;
  const explanation = core.explain(step.id, driver.now());
  if (explanation === undefined || explanation.nearest.some(({ lacks }) => lacks.length === 0)) return;
  const [nearest] = explanation.nearest;
  const why =
    nearest === undefined ? 'no agent is there at all' : `the nearest is ${nearest.agent}, which lacks: ${nearest.lacks.join('; ')}`;
  const reason = `No agent can run the action: ${why}. It has waited for ${Math.round((driver.now() - readyAt) / 1_000)} s`;
  await driver.submit({ kind: 'build-cancelled', id: build, by: NO_AGENT, reason });
}

export function unknownOperation(): Fault {
  const hint = 'Operations are forgotten some time after their end: execute the action again, its result may be in the cache.';
  return new Fault('BUILD_UNKNOWN', 'No such operation is known in the project', { field: 'name', hint });
}

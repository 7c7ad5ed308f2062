import type { Caller } from '../../../base/caller.ts';
import { Fault } from '../../../base/fault.ts';
import { accessOf } from '../../../cache/rpc/access.ts';
import { callUnary } from '../../../proto/dial.ts';
import { HOPS_MAX } from '../../../proto/execution-relay.ts';
import type { CancelOperationRequest__Output } from '../../../proto/gen/google/longrunning/CancelOperationRequest.ts';
import type { ListOperationsRequest__Output } from '../../../proto/gen/google/longrunning/ListOperationsRequest.ts';
import type { ListOperationsResponse } from '../../../proto/gen/google/longrunning/ListOperationsResponse.ts';
import type { Operation } from '../../../proto/gen/google/longrunning/Operation.ts';
import type { OperationsHandlers } from '../../../proto/gen/google/longrunning/Operations.ts';
import type { WaitOperationRequest__Output } from '../../../proto/gen/google/longrunning/WaitOperationRequest.ts';
import { unary, type Call } from '../../../proto/handlers.ts';
import { loadProto } from '../../../proto/load.ts';
import { parseBuildId, type BuildId } from '../../core/ids.ts';
import type { BuildView } from '../../core/view.ts';
import { callerOf, refuseForeignBuild } from '../access.ts';
import { confirmed } from '../confirmed.ts';
import { bad, brief, wholeField } from '../fields.ts';
import { noLeader } from '../forward.ts';
import type { DirectoryCache } from './input-tree.ts';
import { buildOfName } from './operation.ts';
import { operationNow, unknownOperation, watchOperation, type Watching } from './operation-stream.ts';
import { leadingOf, roleFor, type ReapiOptions } from './options.ts';
import { visibleOperation } from './visible.ts';

type Method = 'getOperation' | 'listOperations' | 'cancelOperation' | 'deleteOperation' | 'waitOperation';

const PAGE_DEFAULT = 50;
const PAGE_MAX = 1_000;
/** Bytes of results after which a page ends: one may have a megabyte of its own, and clients take 4 MiB. */
const PAGE_BYTES = 2 * 1024 * 1024;
/** Builds that are looked at for one page of operations. */
const LOOKED_AT = 10_000;

/** Google's long-running operations, as far as they are actions of the caller's project. */
export function operationsHandlers(options: ReapiOptions, directories: DirectoryCache): OperationsHandlers {
  const { env } = options;
  /** A call that the leader answers: this coordinator, or the one that it is handed on to. */
  const led = <Req extends object, Res extends object>(
    rpc: string,
    method: Method,
    run: (watching: Watching, request: Req, caller: Caller, call: Call) => Promise<Res>,
  ) =>
    unary<Req, Res>(env, `Operations.${rpc}`, async (request, call) => {
      const caller = callerOf(call);
      const role = await roleFor(options, call);
      if (role.kind === 'leading') return run({ ...leadingOf(options, role), directories }, request, caller, call);
      if (role.leader === undefined) throw noLeader();
      const client = options.relay.client(loadProto().google.longrunning.Operations, role.leader.address);
      // The leader's answer to the same method of the same service.
      return (await callUnary(client, method, request, options.relay.options(call, HOPS_MAX))) as Res;
    });
  return {
    GetOperation: led('GetOperation', 'getOperation', get),
    ListOperations: led('ListOperations', 'listOperations', list),
    CancelOperation: led('CancelOperation', 'cancelOperation', cancel),
    DeleteOperation: led('DeleteOperation', 'deleteOperation', forget),
    WaitOperation: led('WaitOperation', 'waitOperation', wait),
  };
}

async function get(watching: Watching, { name }: { readonly name: string }, caller: Caller, call: Call): Promise<Operation> {
  const build = buildOfName(name);
  if (visibleOperation(watching.core, caller, build) === undefined) throw unknownOperation();
  watching.interest.touch(build);
  return operationNow(watching, build, call.signal);
}

/** The operation at its end, or as it is when the time that the caller gives is over. */
async function wait(watching: Watching, request: WaitOperationRequest__Output, caller: Caller, call: Call): Promise<Operation> {
  const build = buildOfName(request.name);
  if (visibleOperation(watching.core, caller, build) === undefined) throw unknownOperation();
  const either = AbortSignal.any([call.signal, ...enough(request)]);
  try {
    for await (const operation of watchOperation(watching, build, either)) if (operation.done === true) return operation;
  } catch (error) {
    if (!either.aborted || call.signal.aborted) throw error;
  }
  return operationNow(watching, build, call.signal);
}

/** Fires when the time of the request is over; none where that is longer than a timer can be set for, which is 24 days. */
function enough({ timeout }: WaitOperationRequest__Output): readonly AbortSignal[] {
  if (timeout === null) return [];
  const waitMs = Math.max(0, Math.ceil(Number(timeout.seconds) * 1_000 + timeout.nanos / 1_000_000));
  return waitMs < 2 ** 31 ? [AbortSignal.timeout(waitMs)] : [];
}

/** Newest first. `name` is an instance name, which narrows the list; nobody sees operations of other projects. */
async function list(
  watching: Watching,
  request: ListOperationsRequest__Output,
  caller: Caller,
  call: Call,
): Promise<ListOperationsResponse> {
  if (request.filter !== '') throw new Fault('UNIMPLEMENTED', 'filter is not offered: leave it empty', { field: 'filter' });
  const { view } = accessOf(watching, request.name.replace(/\/?operations$/, ''), call);
  const [scope] = request.name === '' ? [] : view.reads;
  const size = wholeField(request.pageSize, 'page_size', 0, PAGE_MAX) || PAGE_DEFAULT;
  const before = pageOf(request.pageToken);
  const builds = watching.core.builds({
    project: caller.project,
    actions: true,
    limit: LOOKED_AT,
    ...(before === undefined ? {} : { before }),
  });
  const isWanted = (build: BuildView) => scope === undefined || build.record.spec.scope === scope;
  const operations: Operation[] = [];
  let last: BuildId | undefined;
  let bytes = 0;
  for (const build of builds) {
    if (operations.length === size || bytes > PAGE_BYTES) break;
    last = build.record.id;
    if (!isWanted(build)) continue;
    const operation = await operationNow(watching, last, call.signal);
    bytes += loadProto().google.longrunning.Operation.serialize(operation).byteLength;
    operations.push(operation);
  }
  const isEnd = builds.length < LOOKED_AT && last === builds.at(-1)?.record.id;
  return { operations, nextPageToken: isEnd ? '' : (last ?? '') };
}

function pageOf(token: string): BuildId | undefined {
  if (token === '') return undefined;
  const before = parseBuildId(token);
  if (before === undefined) throw bad('page_token', `is not one of ours: send back next_page_token, or nothing, not "${brief(token)}"`);
  return before;
}

/** Also for one that has ended or is not known (any more): that there is nothing left to stop is what the caller wants. */
async function cancel(watching: Watching, { name }: CancelOperationRequest__Output, caller: Caller): Promise<object> {
  const build = visibleOperation(watching.core, caller, buildOfName(name));
  if (build === undefined) return {};
  refuseForeignBuild(caller, build.record.spec);
  const { id } = build.record;
  await confirmed(watching.driver, () =>
    watching.driver.submit({ kind: 'build-cancelled', id, by: caller.name, reason: 'its operation was cancelled' }),
  );
  return {};
}

/** Forgets one that has ended. One under way goes on, and is forgotten in its time. */
async function forget(watching: Watching, { name }: { readonly name: string }, caller: Caller): Promise<object> {
  const build = visibleOperation(watching.core, caller, buildOfName(name));
  if (build === undefined) throw unknownOperation();
  refuseForeignBuild(caller, build.record.spec);
  if (build.state.kind === 'ended') {
    await confirmed(watching.driver, () => watching.driver.submit({ kind: 'build-expired', id: build.record.id }));
  }
  return {};
}

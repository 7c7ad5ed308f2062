import { accessOf, requireUploads } from '../../../cache/rpc/access.ts';
import { checkDigestFunction } from '../../../cache/rpc/service.ts';
import { digestFromProto } from '../../../proto/convert.ts';
import { callServerStream } from '../../../proto/dial.ts';
import { executionServices, HOPS_MAX } from '../../../proto/execution-relay.ts';
import type { ExecuteRequest__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/ExecuteRequest.ts';
import type { ExecutionHandlers } from '../../../proto/gen/build/bazel/remote/execution/v2/Execution.ts';
import type { WaitExecutionRequest__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/WaitExecutionRequest.ts';
import type { Operation } from '../../../proto/gen/google/longrunning/Operation.ts';
import { serverStream, type Call } from '../../../proto/handlers.ts';
import { loadProto } from '../../../proto/load.ts';
import type { ServedService } from '../../../proto/serve.ts';
import { Fault } from '../../../base/fault.ts';
import type { BuildId } from '../../core/ids.ts';
import { newBuildId } from '../../shell/build-ids.ts';
import { instanceNameOf } from '../../shell/instance-name.ts';
import { callerOf } from '../access.ts';
import { confirmed } from '../confirmed.ts';
import { noLeader } from '../forward.ts';
import { lookUpAction } from './action-message.ts';
import { openDirectoryCache, type DirectoryCache } from './input-tree.ts';
import { buildOfName, operationOfMissing } from './operation.ts';
import { watchOperation, unknownOperation, type Watching } from './operation-stream.ts';
import { operationsHandlers } from './operations-service.ts';
import { leadingOf, roleFor, type ReapiOptions } from './options.ts';
import { toolCallOf } from './request-metadata.ts';
import { buildOfAction } from './step-of-action.ts';
import { visibleOperation } from './visible.ts';

/**
 * Execution and Operations of the Remote Execution API. An action becomes a build of one step, so all that holds for builds holds for
 * it. The coordinator that leads does the work; the others hand calls on to it, and an operation's name means the same everywhere.
 */
export function reapiServices(options: ReapiOptions): readonly ServedService[] {
  const { env } = options;
  const directories = openDirectoryCache();
  const execution: ExecutionHandlers = {
    Execute: serverStream(env, 'Execution.Execute', (request, call) => execute(options, directories, request, call)),
    WaitExecution: serverStream(env, 'Execution.WaitExecution', (request, call) => waitExecution(options, directories, request, call)),
  };
  return executionServices({ execution, operations: operationsHandlers(options, directories) });
}

async function* execute(
  options: ReapiOptions,
  directories: DirectoryCache,
  request: ExecuteRequest__Output,
  call: Call,
): AsyncGenerator<Operation> {
  const caller = callerOf(call);
  const access = accessOf(options, request.instanceName, call);
  requireUploads(access);
  checkDigestFunction(request.digestFunction);
  const digest = digestFromProto(request.actionDigest, 'action_digest');
  const role = await roleFor(options, call);
  if (role.kind === 'following') {
    if (role.leader === undefined) throw noLeader();
    const client = options.relay.client(loadProto().build.bazel.remote.execution.v2.Execution, role.leader.address);
    return yield* callServerStream(client, 'execute', request, options.relay.options(call, HOPS_MAX));
  }
  const watching: Watching = { ...leadingOf(options, role), directories };
  const { project, writes: scope = caller.scope } = access.view;
  const instanceName = instanceNameOf(project, scope);
  const id = newBuildId(options.env.clock.now());
  const found = await lookUpAction({ instanceName, store: options.storeFor(instanceName), directories }, digest, call.signal);
  if (found.kind === 'missing') return yield operationOfMissing(id, digest, found.digests);
  const { floorOf, ignored } = options;
  const spec = buildOfAction({ request, found, call: toolCallOf(call.metadata), caller, scope, floorOf, ignored });
  using _wanted = options.interest.hold(id); // from before it is there
  await submit(watching, id, spec);
  yield* watchOperation({ ...watching, wishes: request }, id, call.signal);
}

async function submit({ driver, env }: Watching, id: BuildId, spec: ReturnType<typeof buildOfAction>): Promise<void> {
  const [action] = spec.steps.flatMap(({ given }) => given?.action ?? []);
  const reply = await confirmed(driver, () => driver.submit({ kind: 'build-submitted', id, spec, idempotencyKey: id }));
  if (reply.kind === 'refused') {
    const { field, retryAfterMs } = reply;
    throw new Fault(reply.code, reply.message, {
      ...(field === undefined ? {} : { field }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  if (reply.kind !== 'build') throw new Fault('INTERNAL', `A submission was answered with ${reply.kind}`);
  env.log.debug('action-accepted', { build: id, action, project: spec.project, share: spec.share });
}

async function* waitExecution(
  options: ReapiOptions,
  directories: DirectoryCache,
  request: WaitExecutionRequest__Output,
  call: Call,
): AsyncGenerator<Operation> {
  const caller = callerOf(call);
  const build = buildOfName(request.name);
  const role = await roleFor(options, call);
  if (role.kind === 'following') {
    if (role.leader === undefined) throw noLeader();
    const client = options.relay.client(loadProto().build.bazel.remote.execution.v2.Execution, role.leader.address);
    return yield* callServerStream(client, 'waitExecution', request, options.relay.options(call, HOPS_MAX));
  }
  const watching: Watching = { ...leadingOf(options, role), directories };
  if (visibleOperation(watching.core, caller, build) === undefined) throw unknownOperation();
  yield* watchOperation(watching, build, call.signal);
}

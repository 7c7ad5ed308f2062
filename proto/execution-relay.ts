import type { Env } from '../base/env.ts';
import { callServerStream, callUnary } from './dial.ts';
import type { ExecutionHandlers } from './gen/build/bazel/remote/execution/v2/Execution.ts';
import type { OperationsHandlers } from './gen/google/longrunning/Operations.ts';
import { serverStream, unary, type Call } from './handlers.ts';
import { loadProto } from './load.ts';
import type { Relay } from './relay.ts';
import type { ServedService } from './serve.ts';

/** Handlers of the services by which build tools run actions. */
export type ExecutionCalls = { readonly execution: ExecutionHandlers; readonly operations: OperationsHandlers };

/** Longest way of a call: from a data plane to its coordinator, from there to the one that leads. */
export const HOPS_MAX = 2;

/** Handlers that hand every call on to where `at` says. @throws {Fault} what `at` throws */
export function relayedExecution(relay: Relay, at: () => string, env: Env): ExecutionCalls {
  const execution = () => relay.client(loadProto().build.bazel.remote.execution.v2.Execution, at());
  const operations = () => relay.client(loadProto().google.longrunning.Operations, at());
  const options = (call: Call) => relay.options(call, HOPS_MAX);
  return {
    execution: {
      Execute: serverStream(env, 'Execution.Execute', (request, call) => callServerStream(execution(), 'execute', request, options(call))),
      WaitExecution: serverStream(env, 'Execution.WaitExecution', (request, call) =>
        callServerStream(execution(), 'waitExecution', request, options(call)),
      ),
    },
    operations: {
      GetOperation: unary(env, 'Operations.GetOperation', (request, call) =>
        callUnary(operations(), 'getOperation', request, options(call)),
      ),
      ListOperations: unary(env, 'Operations.ListOperations', (request, call) =>
        callUnary(operations(), 'listOperations', request, options(call)),
      ),
      CancelOperation: unary(env, 'Operations.CancelOperation', (request, call) =>
        callUnary(operations(), 'cancelOperation', request, options(call)),
      ),
      DeleteOperation: unary(env, 'Operations.DeleteOperation', (request, call) =>
        callUnary(operations(), 'deleteOperation', request, options(call)),
      ),
      WaitOperation: unary(env, 'Operations.WaitOperation', (request, call) =>
        callUnary(operations(), 'waitOperation', request, options(call)),
      ),
    },
  };
}

/** The services that have those handlers. */
export function executionServices({ execution, operations }: ExecutionCalls): readonly ServedService[] {
  const proto = loadProto();
  return [
    { definition: proto.build.bazel.remote.execution.v2.Execution.service, handlers: execution },
    { definition: proto.google.longrunning.Operations.service, handlers: operations },
  ];
}

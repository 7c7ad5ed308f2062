import type { CapabilitiesHandlers } from '../../proto/gen/build/bazel/remote/execution/v2/Capabilities.ts';
import type { ExecutionCapabilities } from '../../proto/gen/build/bazel/remote/execution/v2/ExecutionCapabilities.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import { hasRole } from '../../base/caller.ts';
import { accessOf, type Access } from './access.ts';
import { BATCH_BYTES_MAX } from './limits.ts';
import type { DataPlaneParts } from './service.ts';

/** Capabilities of the Remote Execution API; the answer depends on who asks, and on whether there is a coordinator that runs actions. */
export function capabilitiesService(parts: DataPlaneParts): ServedService {
  const handlers: CapabilitiesHandlers = {
    GetCapabilities: unary(parts.env, 'GetCapabilities', async (request, call) => {
      const access = accessOf(parts, request.instanceName, call);
      return {
        cacheCapabilities: {
          digestFunctions: ['SHA256'],
          actionCacheUpdateCapabilities: { updateEnabled: access.results !== undefined },
          cachePriorityCapabilities: { priorities: [{ minPriority: 0, maxPriority: 0 }] },
          maxBatchTotalSizeBytes: String(BATCH_BYTES_MAX),
          symlinkAbsolutePathStrategy: 'ALLOWED',
          supportedCompressors: ['ZSTD'],
          supportedBatchUpdateCompressors: ['ZSTD'],
          splitBlobSupport: true,
          spliceBlobSupport: true,
        },
        ...(parts.execution?.isThere === true ? { executionCapabilities: executionFor(access) } : {}),
        // Clients from Bazel 4 on find a version of theirs in this range.
        lowApiVersion: { major: 2, minor: 0 },
        highApiVersion: { major: 2, minor: 11 },
      };
    }),
  };
  return { definition: loadProto().build.bazel.remote.execution.v2.Capabilities.service, handlers };
}

/** Priorities of actions, where less is sooner. */
const EXECUTION_PRIORITIES = { minPriority: -1_000, maxPriority: 1_000 };

function executionFor({ identity, view }: Access): ExecutionCapabilities {
  const maySubmit = identity.kind === 'caller' && hasRole(identity.caller, 'submitter');
  return {
    digestFunction: 'SHA256', // what clients before 2.3 compare with their own
    digestFunctions: ['SHA256'],
    execEnabled: maySubmit && view.writes !== undefined,
    executionPriorityCapabilities: { priorities: [EXECUTION_PRIORITIES] },
    supportedNodeProperties: ['mtime', 'unix_mode'],
  };
}

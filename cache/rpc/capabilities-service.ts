import type { CapabilitiesHandlers } from '../../proto/gen/build/bazel/remote/execution/v2/Capabilities.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import { accessOf } from './access.ts';
import { BATCH_BYTES_MAX } from './limits.ts';
import type { DataPlaneParts } from './service.ts';

/** Capabilities of the Remote Execution API, as a cache without execution has them; the answer depends on who asks. */
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
        },
        // Clients from Bazel 4 on find a version of theirs in this range.
        lowApiVersion: { major: 2, minor: 0 },
        highApiVersion: { major: 2, minor: 11 },
      };
    }),
  };
  return { definition: loadProto().build.bazel.remote.execution.v2.Capabilities.service, handlers };
}

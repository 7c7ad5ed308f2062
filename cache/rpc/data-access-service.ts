import type { DataAccessHandlers } from '../../proto/gen/switchyard/v1/DataAccess.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { DataPlaneParts } from './service.ts';

/** What coordinators tell the data plane of the attempts that they lead. */
export function dataAccessService({ grants, env }: DataPlaneParts): ServedService {
  const handlers: DataAccessHandlers = {
    UpdateGrants: unary(env, 'UpdateGrants', async ({ endedTokens, keptGrants }) => {
      grants.keep(keptGrants);
      grants.end(endedTokens); // after it: what has ended is not kept
      return {};
    }),
  };
  return { definition: loadProto().switchyard.v1.DataAccess.service, handlers };
}

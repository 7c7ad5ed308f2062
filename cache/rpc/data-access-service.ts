import type { DataAccessHandlers } from '../../proto/gen/switchyard/v1/DataAccess.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import { takeGrants } from './grants.ts';
import type { DataPlaneParts } from './service.ts';

/** What coordinators tell the data plane of the attempts that they lead. */
export function dataAccessService({ grants, others, env }: DataPlaneParts): ServedService {
  const handlers: DataAccessHandlers = {
    UpdateGrants: unary(env, 'UpdateGrants', async ({ endedTokens, keptGrants }) => {
      takeGrants(grants, { endedTokens, keptGrants });
      await others?.ask({ kind: 'grants', endedTokens, keptGrants });
      return {};
    }),
  };
  return { definition: loadProto().switchyard.v1.DataAccess.service, handlers };
}

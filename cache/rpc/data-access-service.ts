import type { DataAccessHandlers } from '../../proto/gen/switchyard/v1/DataAccess.ts';
import type { RefusalBatch as WireBatch } from '../../proto/gen/switchyard/v1/RefusalBatch.ts';
import { unary } from '../../proto/handlers.ts';
import { loadProto } from '../../proto/load.ts';
import type { ServedService } from '../../proto/serve.ts';
import type { RefusalBatch } from '../refusals.ts';
import { takeGrants } from './grants.ts';
import type { DataPlaneParts } from './service.ts';

/** What coordinators tell the data plane of the attempts that they lead, and what they ask of what it refused. */
export function dataAccessService({ grants, refusals, others, env }: DataPlaneParts): ServedService {
  const handlers: DataAccessHandlers = {
    UpdateGrants: unary(env, 'UpdateGrants', async ({ endedTokens, keptGrants }) => {
      takeGrants(grants, { endedTokens, keptGrants });
      await others?.ask({ kind: 'grants', endedTokens, keptGrants });
      return {};
    }),
    TakeRefusals: unary(env, 'TakeRefusals', async ({ keptBatches: kept }) => {
      const own = refusals?.take(kept);
      const theirs = ((await others?.ask({ kind: 'refusals', kept })) ?? []) as readonly RefusalBatch[]; // as each of them answers
      return { batches: [...(own === undefined ? [] : [own]), ...theirs].map(toWire) };
    }),
  };
  return { definition: loadProto().switchyard.v1.DataAccess.service, handlers };
}

function toWire({ id, refusals }: RefusalBatch): WireBatch {
  return { id, refusals: refusals.map(({ note: { actor, subject, detail, peer }, count }) => ({ actor, subject, detail, peer, count })) };
}

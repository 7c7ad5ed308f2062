import type { ServedService } from '../../proto/serve.ts';
import { actionCacheService } from './action-cache-service.ts';
import { assetServices } from './asset-service.ts';
import { byteStreamService } from './byte-stream-service.ts';
import { capabilitiesService } from './capabilities-service.ts';
import { casService } from './cas-service.ts';
import { dataAccessService } from './data-access-service.ts';
import { directTransferService } from './direct-transfer-service.ts';
import { entryService } from './entry-service.ts';
import type { DataPlaneParts } from './service.ts';

/** All services of the data plane. Dispose of it after the server. */
export function dataPlaneServices(parts: DataPlaneParts): { readonly services: readonly ServedService[] } & Disposable {
  const bytes = byteStreamService(parts);
  return {
    services: [
      casService(parts),
      bytes,
      actionCacheService(parts),
      ...assetServices(parts),
      capabilitiesService(parts),
      dataAccessService(parts),
      directTransferService(parts),
      entryService(parts),
      ...(parts.execution?.services ?? []),
    ],
    [Symbol.dispose]: () => bytes[Symbol.dispose](),
  };
}

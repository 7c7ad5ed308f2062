import type { StepResult } from '../../cache/action/result.ts';
import type { Digest } from '../../cache/digest.ts';
import { memoryStores } from '../../cache/memory.ts';
import type { DataPlane } from '../../cache/rpc/client.ts';
import { scopeChain } from '../../base/caller.ts';

/** What a data plane does for a coordinator, in memory: blobs and results by project, scope and ancestors. */
export function memoryDataPlane(): DataPlane & { readonly results: ReadonlyMap<string, StepResult> } {
  const storeOf = memoryStores();
  const results = new Map<string, StepResult>();
  const view = (instanceName: string): DataPlane => {
    const [project = '', ...scope] = instanceName.split('/');
    const reads = scopeChain(scope.join('/'));
    const store = storeOf({ project, reads, writes: reads[0], producer: 'service' });
    const key = (action: Digest, at: string) => `${project}/${at} ${action}`;
    return {
      store,
      actions: {
        async get(action) {
          return reads.flatMap((at) => results.get(key(action, at)) ?? [])[0];
        },
        async put(action, result) {
          results.set(key(action, scope.join('/')), result);
        },
      },
      withInstance: view,
      [Symbol.asyncDispose]: async () => {},
    };
  };
  return { ...view('shop/main'), results };
}

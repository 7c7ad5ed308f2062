import type { StepResult } from '../../cache/action/result.ts';
import type { Digest } from '../../cache/digest.ts';
import { memoryStore } from '../../cache/memory.ts';
import type { DataPlane } from '../../cache/rpc/client.ts';
import { scopeChain } from '../../base/caller.ts';

/** What a data plane does for a coordinator, in memory: blobs of everybody, results by project, scope and ancestors. */
export function memoryDataPlane(): DataPlane & { readonly results: ReadonlyMap<string, StepResult> } {
  const store = memoryStore();
  const results = new Map<string, StepResult>();
  const view = (instanceName: string): DataPlane => {
    const [project = '', ...scope] = instanceName.split('/');
    const key = (action: Digest, at: string) => `${project}/${at} ${action}`;
    return {
      store,
      actions: {
        async get(action) {
          return scopeChain(scope.join('/')).flatMap((at) => results.get(key(action, at)) ?? [])[0];
        },
        async put(action, result) {
          results.set(key(action, scope.join('/')), result);
        },
      },
      withInstance: view,
      [Symbol.asyncDispose]: async () => {},
    };
  };
  return { ...view(''), results };
}

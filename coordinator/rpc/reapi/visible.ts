import type { Caller } from '../../../base/caller.ts';
import type { BuildId } from '../../core/ids.ts';
import type { BuildView } from '../../core/view.ts';
import type { CoreView } from '../../shell/core-view.ts';
import { actionStep } from './operation.ts';

/** The build of an operation of the caller's project; the others, and builds that are none of an action, are unknown to it. */
export function visibleOperation(core: Pick<CoreView, 'build'>, caller: Caller, build: BuildId): BuildView | undefined {
  const view = core.build(build);
  return view?.record.spec.project === caller.project && actionStep(view) !== undefined ? view : undefined;
}

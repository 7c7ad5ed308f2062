import type { Clock } from '../../base/clock.ts';
import { encodeStepResult } from '../../cache/action/action-result.ts';
import type { EntryFinder } from '../../cache/entries/finder.ts';
import type { ActionResults } from '../../cache/rpc/client.ts';
import type { StepId } from '../core/ids.ts';
import type { CoreView } from './core-view.ts';
import { describeKeepable } from './describe.ts';

/**
 * Where the step's result is kept, with who made it and what of: what a purge goes by. As things are now; undefined where the step has
 * gone. A newer result takes the place of the one before it; one that is written `again` takes that of older ones only.
 */
export function provenActions(
  core: CoreView,
  step: StepId,
  entries: Pick<EntryFinder, 'put'>,
  clock: Clock,
  again = false,
): Pick<ActionResults, 'put'> | undefined {
  const keepable = describeKeepable(core, step);
  const state = core.step(step)?.record.state;
  if (keepable === undefined || state?.kind !== 'ended') return undefined;
  const { project, scope, provenance } = keepable;
  return {
    async put(action, result, signal) {
      const at = { kind: 'action', owner: { project, scope }, key: action } as const;
      const entry = { at, value: encodeStepResult(result), parts: [], provenance, writtenAt: clock.now() };
      const there = again ? await entries.put(entry, { replace: false }, signal) : undefined;
      if (there === undefined || (there.kind === 'differs' && there.entry.writtenAt < state.at))
        await entries.put(entry, { replace: true }, signal);
    },
  };
}

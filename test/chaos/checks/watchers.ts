import type { BuildEvent } from '../../../cli/build-view.ts';
import type { ObservedBuild, Violation } from '../observation.ts';

/** A watcher sees each event once, in order, without a gap, except where it was told to go on from a snapshot. */
export function checkWatchers({ id, watched, history, snapshot }: ObservedBuild): readonly Violation[] {
  if (history === undefined) return [];
  const violation = (what: string): Violation => ({ invariant: 'watchers', where: id, what });
  const told = history.map(textOf);
  let next = 0;
  for (const [part, events] of watched.entries()) {
    for (const [index, event] of events.entries()) {
      const text = textOf(event);
      // Only the first event after a snapshot may leave some out.
      const at = index === 0 && part > 0 ? told.indexOf(text, next) : next;
      if (told[at] !== text) return [violation(`was told ${text} where its history has ${told[next] ?? 'nothing more'}`)];
      next = at + 1;
    }
  }
  const saidEnded = watched.length > 1 && snapshot?.build.phase === 'ended';
  if (next < told.length && !saidEnded)
    return [violation(`was not told ${told.length - next} of ${told.length} events, from ${told[next]} on`)];
  if (history.at(-1)?.kind !== 'build-ended') return [violation(`has a history that ends with ${told.at(-1) ?? 'nothing'}`)];
  return [];
}

/** Cursors may differ between incarnations of the ledger; the event does not. */
function textOf(event: BuildEvent): string {
  return JSON.stringify({ ...event, cursor: undefined });
}

import type { Clock, TimeMs } from '../../base/clock.ts';

/**
 * Names of entries that this coordinator has found or written, and when last: one that is missed later was taken away. Lost with the
 * process; it only makes explanations better.
 */
export interface SeenEntries {
  note(project: string, scope: string, key: string): void;
  seenAt(project: string, scope: string, key: string): TimeMs | undefined;
}

/** The newest are remembered: about 300 bytes each. */
const SEEN_MAX = 20_000;

export function seenEntries(clock: Clock, max = SEEN_MAX): SeenEntries {
  const seen = new Map<string, TimeMs>();
  const nameOf = (project: string, scope: string, key: string) => `${project}\n${scope}\n${key}`;
  return {
    note(project, scope, key) {
      const name = nameOf(project, scope, key);
      seen.delete(name);
      seen.set(name, clock.now());
      for (const oldest of seen.keys()) {
        if (seen.size <= max) break;
        seen.delete(oldest);
      }
    },
    seenAt: (project, scope, key) => seen.get(nameOf(project, scope, key)),
  };
}

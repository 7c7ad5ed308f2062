import { restoreToProto } from '../../proto/convert.ts';
import type { DependencyCacheState } from '../../proto/gen/switchyard/v1/DependencyCacheState.ts';
import type { DependencyFound } from '../../proto/gen/switchyard/v1/DependencyFound.ts';
import type { DependencySave } from '../../proto/gen/switchyard/v1/DependencySave.ts';
import type { DependencyKept, DependencyLookup } from '../core/dependency.ts';
import type { StepView } from '../core/view.ts';

const FOUND = {
  unwanted: 'DEPENDENCY_FOUND_UNSPECIFIED',
  exact: 'DEPENDENCY_FOUND_EXACT',
  fallback: 'DEPENDENCY_FOUND_FALLBACK',
  nothing: 'DEPENDENCY_FOUND_NOTHING',
  unknown: 'DEPENDENCY_FOUND_UNKNOWN',
} as const satisfies Record<DependencyLookup['found']['kind'], DependencyFound>;

const SAVES = {
  none: 'DEPENDENCY_SAVE_UNSPECIFIED',
  pending: 'DEPENDENCY_SAVE_PENDING',
  kept: 'DEPENDENCY_SAVE_KEPT',
  same: 'DEPENDENCY_SAVE_SAME',
  differs: 'DEPENDENCY_SAVE_DIFFERS',
  dropped: 'DEPENDENCY_SAVE_DROPPED',
} as const satisfies Record<DependencyKept['save']['kind'], DependencySave>;

/** A step's dependency caches, once they were looked up. */
export function dependencyCachesToProto({ spec, record }: StepView): DependencyCacheState[] {
  const lookups = record.action?.dependencies;
  if (lookups === undefined) return [];
  return (spec.dependencyCaches ?? []).flatMap(({ name, key }) => {
    const lookup = lookups.find((one) => one.name === name);
    const kept = record.kept?.find((one) => one.name === name);
    if (lookup === undefined) return [];
    const { found, why, warning } = lookup;
    const hit = found.kind === 'exact' || found.kind === 'fallback' ? { foundKey: found.key, foundScope: found.scope } : {};
    return [
      {
        name,
        key,
        found: FOUND[found.kind],
        ...hit,
        why: [...why],
        save: SAVES[kept?.save.kind ?? 'none'],
        restores: (kept?.restores ?? []).map(restoreToProto),
        warnings: [...(warning === undefined ? [] : [warning]), ...(kept?.warnings ?? [])],
      },
    ];
  });
}

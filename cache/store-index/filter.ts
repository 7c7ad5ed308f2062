import type { EntryRow, EntryRowFilter, Owner, PackFilter, PackRow } from './store-index.ts';

export function isSameOwner(left: Owner, right: Owner): boolean {
  return left.project === right.project && left.scope === right.scope;
}

/** Whether `StoreIndex.entries` lists the row. */
export function fitsEntry(row: EntryRow, { project, scope, kind, producer, unusedSince, state }: EntryRowFilter): boolean {
  if (project !== undefined && row.at.owner.project !== project) return false;
  if (scope !== undefined && row.at.owner.scope !== scope) return false;
  if (kind !== undefined && row.at.kind !== kind) return false;
  if (producer !== undefined && row.producer !== producer) return false;
  if (unusedSince !== undefined && row.usedAt >= unusedSince) return false;
  return state === undefined || row.state === state;
}

/** Whether `StoreIndex.packs` lists the row. */
export function fitsPack(row: PackRow, { state, owner, producer }: PackFilter): boolean {
  if (state !== undefined && row.state !== state) return false;
  if (owner !== undefined && !isSameOwner(row.owner, owner)) return false;
  return producer === undefined || row.producer === producer;
}

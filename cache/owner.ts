import { isProject, isScope } from '../base/caller.ts';
import type { Owner } from './store-index/store-index.ts';

/*
 * An owner as the name of a directory, and back: `web~main~pr-7` is the scope main/pr-7 of the project web. Neither projects nor
 * segments of scopes hold a tilde, so that no two owners share a name; and the longest of both fit into a file's name.
 */

export function partitionOf({ project, scope }: Owner): string {
  return `${project}~${scope.replaceAll('/', '~')}`;
}

/** The owner that `partitionOf` named so, or undefined. */
export function ownerOf(partition: string): Owner | undefined {
  const tilde = partition.indexOf('~');
  const [project, scope] = [partition.slice(0, Math.max(tilde, 0)), partition.slice(tilde + 1).replaceAll('~', '/')];
  return isProject(project) && isScope(scope) ? { project, scope } : undefined;
}

/** Where an owner stands among all: its project, then the segments of its scope; for `LruDirOptions.groupsOf`. */
export function groupsOf(partition: string): readonly string[] {
  return partition.split('~');
}

import type { Zone } from './zone.ts';

/** What a caller may do, each role including those before it. */
export const ROLES = ['viewer', 'submitter', 'approver', 'operator', 'admin'] as const;

export type Role = (typeof ROLES)[number];

/**
 * Who asks, as verified by us. No field, header or instance name that a client sends widens it.
 * `scope` is a slash-separated path below the project (`main`, `main/pr-7`); the caller writes cache entries there only
 * and reads there and in its ancestors.
 */
export type Caller = {
  /** For logs and records: the token's name, never the token. */
  readonly name: string;
  readonly role: Role;
  readonly project: string;
  readonly scope: string;
  /** The highest zone in which the caller's steps may run. */
  readonly zoneCeiling: Zone;
};

/** Whether the caller's role is `least` or one that includes it. */
export function hasRole({ role }: Pick<Caller, 'role'>, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

/** `scope` and its ancestors, nearest first: the order in which cache entries are looked up. */
export function scopeChain(scope: string): readonly string[] {
  const parts = scope.split('/');
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

/** Whether `name` may name a project. It becomes the name of a directory. */
export function isProject(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name);
}

/** Longest scope: with its project it still is the name of a directory. */
const SCOPE_LENGTH_MAX = 180;

/** Whether `path` may be a cache scope, such as `main` or `main/pr-7`. It becomes part of paths: no segment is `.` or `..`. */
export function isScope(path: string): boolean {
  return path.length <= SCOPE_LENGTH_MAX && /^(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+){0,7}$/.test(path);
}

/** Whether callers and builds may have the scope: those with a part that begins with a dot are for processes of ours. */
export function isOpenScope(path: string): boolean {
  return isScope(path) && !/(^|\/)\./.test(path);
}

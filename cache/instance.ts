/** Whether `name` may name a project. It becomes the name of a directory. */
export function isProject(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name);
}

/** Whether `path` may be a cache scope, such as `main` or `main/pr-7`. */
export function isScope(path: string): boolean {
  return /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+){0,7}$/.test(path);
}

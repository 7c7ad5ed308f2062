/** The data plane's name for what a project's builds of one scope may read and write. */
export function instanceNameOf(project: string, scope: string): string {
  return `${project}/${scope}`;
}

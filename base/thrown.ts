/** The code of an error of Node's, such as `ENOENT`; undefined where `error` has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** What was thrown, in words for a message or a log. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

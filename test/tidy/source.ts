/** A file of the repository: its path from the root, with slashes, and its text. */
export type Source = { readonly path: string; readonly text: string };

/** A rule of the house: what is wrong with `source`, a sentence each; nothing where it is right. */
export type Check = (source: Source) => readonly string[];

export function isCode(path: string): boolean {
  return /\.(ts|js|mjs)$/.test(path) && !path.startsWith('proto/gen/');
}

export function isTest(path: string): boolean {
  return path.startsWith('test/') || path.endsWith('.test.ts') || path === 'vitest.config.ts';
}

/** `text` with every comment blanked, so that what only a comment says is not found. Line breaks and columns stay. */
export function withoutComments(text: string): string {
  const blank = (match: string) => match.replaceAll(/[^\n]/g, ' ');
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|[\s;{}(,])\/\/[^\n]*/g, blank);
}

/** Problems at lines: `what(line)` says what is wrong with one, if anything. */
export function perLine(text: string, what: (line: string) => string | undefined): readonly string[] {
  return text.split('\n').flatMap((line, index) => {
    const problem = what(line);
    return problem === undefined ? [] : [`line ${index + 1}: ${problem}`];
  });
}

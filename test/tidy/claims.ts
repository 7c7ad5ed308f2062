import type { Check } from './source.ts';

/** A test file, and the titles that a page names of it: `` `path.test.ts` *one title* *another* ``. */
type Claim = { readonly path: string; readonly titles: readonly string[] };

const TEST_FILE = /`([\w./-]+\/[\w./-]+\.ts)`((?: \*[^*|]+\*)*)/g;

/** What a row of a table says that tests show. */
function claimsOf(row: string): readonly Claim[] {
  return [...row.matchAll(TEST_FILE)].flatMap(([, path = '', titles = '']) =>
    path.endsWith('.test.ts') || path.startsWith('test/contract/')
      ? [{ path, titles: [...titles.matchAll(/\*([^*]+)\*/g)].map(([, title = '']) => title) }]
      : [],
  );
}

/** Whether the text has a test, or a group of tests, of that title, as it is written there. */
function hasTest(text: string, title: string): boolean {
  const written = RegExp.escape(title);
  return new RegExp(`\\(\\s*(['"\`])${written}\\1\\s*,`).test(text);
}

/** Test files that tables of a page name are there, from the root or from test/e2e, and so are the tests whose titles follow. */
export function checkClaims(textOf: (path: string) => string | undefined): Check {
  return ({ path, text }) => {
    if (!path.endsWith('.md')) return [];
    const rows = text.split('\n').flatMap((line, index) => (line.startsWith('|') ? [{ line, number: index + 1 }] : []));
    return rows.flatMap(({ line, number }) =>
      claimsOf(line).flatMap((claim) => {
        const source = textOf(claim.path) ?? textOf(`test/e2e/${claim.path}`);
        if (source === undefined) return [`line ${number}: ${claim.path} is no test file`];
        const missing = claim.titles.filter((title) => !hasTest(source, title));
        return missing.map((title) => `line ${number}: ${claim.path} has no test "${title}"`);
      }),
    );
  };
}

/** Every row of the tables of a page names a test by its title. */
export function checkProven(page: string): Check {
  return ({ path, text }) => {
    if (path !== page) return [];
    const isHead = (line: string, next: string | undefined) => /^\| ?-/.test(line) || /^\| ?-/.test(next ?? '');
    const lines = text.split('\n');
    return lines.flatMap((line, index) =>
      !line.startsWith('|') || isHead(line, lines[index + 1]) || claimsOf(line).some(({ titles }) => titles.length > 0)
        ? []
        : [`line ${index + 1}: names no test by its title`],
    );
  };
}

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renderConfigPage } from '../scripts/config-page.ts';
import { renderErrorsPage } from '../scripts/errors-page.ts';
import { renderMetricsPage } from '../scripts/metrics-page.ts';
import { ROOT } from './fixtures/root.ts';
import { checkClaims, checkProven } from './tidy/claims.ts';
import { checkImports, importsOf } from './tidy/imports.ts';
import { checkLockfile, NEEDLESS_SCRIPTS } from './tidy/lockfile.ts';
import { repositoryFiles, repositorySources } from './tidy/repository.ts';
import { isTest, withoutComments, type Check } from './tidy/source.ts';
import {
  checkCalls,
  checkEnvironment,
  checkLeftovers,
  checkMarkdown,
  checkName,
  checkPlaces,
  checkProtoComments,
  checkSize,
} from './tidy/text.ts';

const sources = repositorySources();
const paths = new Set(repositoryFiles());
const textOf = (path: string) => sources.find((source) => source.path === path)?.text;
const isDirectory = (path: string) => [...paths].some((file) => file.startsWith(`${path.replace(/\/$/, '')}/`));

/** Each rule, with a file that breaks it in the way that the rule is there to find. */
const RULES: readonly { readonly rule: string; readonly check: Check; readonly bad: readonly { path: string; text: string }[] }[] = [
  {
    rule: 'files have at most 500 lines of at most 140 columns',
    check: checkSize,
    bad: [
      { path: 'cache/long.ts', text: 'a\n'.repeat(501) },
      { path: 'cache/wide.ts', text: `${'a + '.repeat(40)}b;\n` },
      { path: 'cache/text.ts', text: `const x = '${'a'.repeat(180)}';\n` },
    ],
  },
  {
    rule: 'files are named after one noun, in kebab-case',
    check: checkName,
    bad: [
      { path: 'cache/utils.ts', text: '' },
      { path: 'cache/index.ts', text: '' },
      { path: 'helpers/x.ts', text: '' },
      { path: 'cache/blobStore.ts', text: '' },
    ],
  },
  {
    rule: 'modules import only what the import table allows',
    check: checkImports,
    bad: [
      { path: 'coordinator/core/a.ts', text: "import { readFile } from 'node:fs';" },
      { path: 'coordinator/core/a.ts', text: "import { x } from '../ledger/ledger.ts';" },
      { path: 'coordinator/core/a.ts', text: "import { jsonLogger } from '../../base/log.ts';" },
      { path: 'coordinator/shell/a.ts', text: "import { openSqlite } from '../ledger/sqlite.ts';" },
      { path: 'coordinator/shell/a.ts', text: "import {\n  loadProto,\n} from '../../proto/load.ts';" },
      { path: 'coordinator/shell/a.ts', text: "import { Client } from '@grpc/grpc-js';" },
      { path: 'agent/runner.ts', text: "const x = await import('../coordinator/shell/driver.ts');" },
      { path: 'base/a.ts', text: "export { x } from '../cache/digest.ts';" },
      { path: 'cache/disk.ts', text: "import '../test/fixtures/root.ts';" },
      { path: 'cli/a.ts', text: "import { main } from '../coordinator/main.ts';" },
      { path: 'elsewhere/a.ts', text: '' },
    ],
  },
  {
    rule: 'nothing is left over',
    check: checkLeftovers,
    bad: [
      { path: 'cache/a.ts', text: `// FIXME later` },
      { path: 'docs/a.md', text: `TODO: write` },
      { path: 'cache/a.test.ts', text: `test.only('x', () => {});` },
    ],
  },
  {
    rule: 'time and chance come in as arguments, and nothing of ours is mocked',
    check: checkCalls,
    bad: [
      { path: 'agent/a.ts', text: 'const now = Date.now();' },
      { path: 'agent/a.ts', text: 'const now = new Date();' },
      { path: 'agent/a.ts', text: `const x = Math.random();` },
      { path: 'agent/a.test.ts', text: `vi.mock('./b.ts');` },
    ],
  },
  {
    rule: 'only main.ts files read the environment',
    check: checkEnvironment,
    bad: [{ path: 'agent/a.ts', text: "const home = process.env['HOME'];" }],
  },
  {
    rule: 'nothing names one machine or registry',
    check: checkPlaces,
    bad: [
      { path: 'docs/a.md', text: `see /work/shared/x.md` },
      { path: 'package-lock.json', text: `"https://registry.example.org/x.tgz"` },
    ],
  },
  {
    rule: 'pages have one title and live links',
    check: checkMarkdown((path) => paths.has(path) || isDirectory(path)),
    bad: [
      { path: 'docs/a.md', text: '# One\n# Two\n' },
      { path: 'docs/a.md', text: 'No title\n' },
      { path: 'docs/a.md', text: '# One\n[x](no-such-page.md)\n' },
    ],
  },
  {
    rule: 'tests that tables of a page name are there',
    check: checkClaims(textOf),
    bad: [
      { path: 'docs/a.md', text: '| 1 | `test/no-such-file.test.ts` |\n' },
      { path: 'docs/a.md', text: '| 1 | `test/tidy.test.ts` *says nothing of the kind* |\n' },
    ],
  },
  {
    rule: 'every failure of the cache names its test',
    check: checkProven('docs/cache-failures.md'),
    bad: [{ path: 'docs/cache-failures.md', text: '| what | shown by |\n| --- | --- |\n| a failure | `test/tidy.test.ts`, somewhere |\n' }],
  },
  {
    rule: 'every service, rpc, message and enum of ours is explained',
    check: checkProtoComments,
    bad: [{ path: 'proto/switchyard/v1/x.proto', text: '// Yes.\nmessage A {\n}\n\nmessage B {\n}\n' }],
  },
];

describe.for(RULES)('$rule', ({ check, bad }) => {
  test('holds in the repository', () => {
    expect(sources.flatMap((source) => check(source).map((problem) => `${source.path}: ${problem}`))).toEqual([]);
  });

  test.for(bad)('is found broken in a bad sample of $path', (source) => {
    expect(check(source)).toHaveLength(1);
  });
});

test('imports in comments and strings of prose do not count', () => {
  expect(importsOf("// import { x } from './a.ts';\n/** from './b.ts' */\nimport type { y } from './c.ts';")).toEqual(['./c.ts']);
  expect(withoutComments('a // b\nc /* d */ e')).toBe('a     \nc         e');
});

test('every decorator has a test beside it', () => {
  const decorators = [...paths].filter((path) => /(^|\/)with-[a-z-]+\.ts$/.test(path));
  expect(decorators.filter((path) => !paths.has(path.replace(/\.ts$/, '.test.ts')))).toEqual([]);
});

test('every test file is one that vitest finds', () => {
  expect([...paths].filter((path) => /\.(spec|tests)\.[jt]s$/.test(path))).toEqual([]);
  expect(isTest('cache/digest.test.ts')).toBe(true);
});

test('the steps of our own pipeline have every folder that they read', () => {
  const steps = readFileSync(join(ROOT, 'switchyard.yaml'), 'utf8');
  const [all, packaged] = [...steps.matchAll(/^ +- '\{([^}]+)\}\/\*\*'$/gm)].map(([, names = '']) => names.split(','));
  const folders = new Set(repositoryFiles().flatMap((path) => (path.includes('/') ? [path.slice(0, path.indexOf('/'))] : [])));
  expect(all?.toSorted()).toEqual([...folders].toSorted());
  const parts = /^const PARTS = \[(.*)\];$/m.exec(readFileSync(join(ROOT, 'scripts/package.ts'), 'utf8'))?.[1] ?? '';
  expect(packaged?.toSorted()).toEqual(['bin', ...[...parts.matchAll(/'(\w+)'/g)].map(([, part = '']) => part)].toSorted());
});

test('the errors page says what the code says', () => {
  expect(readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')).toBe(renderErrorsPage());
});

test('the metrics page says what the processes register', () => {
  expect(readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8')).toBe(renderMetricsPage());
});

test('the configuration page says what the option tables say', async () => {
  expect(readFileSync(join(ROOT, 'docs/config.md'), 'utf8')).toBe(await renderConfigPage());
});

describe('the lockfile', () => {
  test('has no download addresses, and nothing that must be built or run to install', () => {
    expect(checkLockfile(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))).toEqual([]);
  });

  test.for([
    { why: 'a download address', entry: { version: '1.0.0', resolved: 'https://example.org/a.tgz' } },
    { why: 'an install script', entry: { version: '1.0.0', hasInstallScript: true } },
    {
      why: 'an install script that only other systems leave out',
      entry: { version: '1.0.0', hasInstallScript: true, optional: true, os: ['linux'] },
    },
    { why: 'an optional part that has no entry', entry: { version: '1.0.0', optionalDependencies: { b: '1.0.0' } } },
  ])('with $why is found', ({ entry }) => {
    expect(checkLockfile(JSON.stringify({ packages: { '': {}, 'node_modules/a': entry } }))).toHaveLength(1);
  });

  test('installed packages bring no build recipe of a native module', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, unknown> }; // npm's format
    const folders = Object.keys(lock.packages).filter((path) => path !== '' && !NEEDLESS_SCRIPTS.has(path));
    expect(folders.filter((path) => existsSync(join(ROOT, path, 'binding.gyp')))).toEqual([]);
  });

  test('npm is told to run no scripts and to keep addresses out', () => {
    const settings = readFileSync(join(ROOT, '.npmrc'), 'utf8').split('\n');
    expect(settings).toEqual(expect.arrayContaining(['ignore-scripts=true', 'omit-lockfile-registry-resolved=true']));
  });
});

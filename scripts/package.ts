import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Makes dist/switchyard-<version>.tgz: the program as JavaScript, ready for "npm install". Node does not run TypeScript
// below node_modules, so the sources are compiled. The same sources give the same bytes.
const ROOT = dirname(import.meta.dirname);
const DIST = join(ROOT, 'dist');
const PACKAGE = join(DIST, 'package');
const PARTS = ['agent', 'base', 'cache', 'cli', 'coordinator', 'proto', 'topology'];

function run(program: string, args: readonly string[]): void {
  const result = spawnSync(program, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status !== 0) throw new Error(`${program} ${args[0] ?? ''} failed`);
}

/** What the compiler is told beyond tsconfig.json; it lies in the root so that its paths are those of the house. */
function compile(): void {
  const config = join(ROOT, 'tsconfig.package.json');
  const compilerOptions = { noEmit: false, rootDir: '.', outDir: 'dist/package' };
  const exclude = ['node_modules', 'dist', '**/*.test.ts'];
  writeFileSync(config, JSON.stringify({ extends: './tsconfig.json', compilerOptions, include: PARTS, exclude }));
  try {
    run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', config]);
  } finally {
    rmSync(config);
  }
}

/** The compiler rewrites imports; files that are named for a worker (`new URL('./x.ts', import.meta.url)`) are left to us. */
function renameWorkers(): void {
  for (const entry of readdirSync(PACKAGE, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.js')) continue;
    const file = join(entry.parentPath, entry.name);
    const text = readFileSync(file, 'utf8');
    const renamed = text.replaceAll(/(new URL\('[^']+)\.ts('\s*,\s*import\.meta\.url\))/g, '$1.js$2');
    if (renamed !== text) writeFileSync(file, renamed);
  }
}

/** Everything that is no TypeScript but belongs to the program: protocol files, scripts, the schema. */
function copyRest(): void {
  for (const part of PARTS) {
    for (const entry of readdirSync(join(ROOT, part), { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name);
      if (entry.isFile() && !/\.(ts|md)$/.test(file)) cpSync(file, join(PACKAGE, file.slice(ROOT.length + 1)));
    }
  }
  for (const file of ['LICENSE', 'README.md', 'docs/switchyard.schema.json', 'docs/switchyard.topology.schema.json'].filter((name) =>
    existsSync(join(ROOT, name)),
  ))
    cpSync(join(ROOT, file), join(PACKAGE, file));
  const launcher = readFileSync(join(ROOT, 'bin/switchyard.js'), 'utf8').replaceAll('/main.ts', '/main.js');
  mkdirSync(join(PACKAGE, 'bin'), { recursive: true });
  writeFileSync(join(PACKAGE, 'bin/switchyard.js'), launcher, { mode: 0o755 });
}

/** Without what only development needs. */
function writeManifest(): string {
  const { devDependencies: _dev, scripts: _scripts, ...manifest } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  writeFileSync(join(PACKAGE, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return String(manifest.version);
}

rmSync(DIST, { recursive: true, force: true });
mkdirSync(PACKAGE, { recursive: true });
compile();
renameWorkers();
copyRest();
const tarball = join(DIST, `switchyard-${writeManifest()}.tgz`);
const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
run('tar', [...same, '--use-compress-program=gzip -n', '-cf', tarball, '-C', DIST, 'package']);
rmSync(PACKAGE, { recursive: true, force: true });

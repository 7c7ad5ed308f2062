import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { protoFiles, PROTO_DIR } from '../proto/load.ts';

// Generates the types of proto/gen from the .proto files; with --check, fails where the committed ones differ. The
// generator's flags say the same as the loader's options in proto/load.ts.
const GENERATED = join(PROTO_DIR, 'gen');
const FLAGS = ['--grpcLib=@grpc/grpc-js', '--importFileExtension=.ts', '--longs=String', '--enums=String', '--oneofs', '--defaults'];

function generate(into: string): void {
  const loader = createRequire(import.meta.url).resolve('@grpc/proto-loader/package.json');
  const generator = join(dirname(loader), 'build/bin/proto-loader-gen-types.js');
  const args = [generator, ...FLAGS, '-I', 'proto', '-O', into, ...protoFiles()];
  const run = spawnSync(process.execPath, args, { cwd: dirname(PROTO_DIR), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (run.status !== 0) throw new Error(`The generator failed:\n${run.stdout}${run.stderr}`);
  for (const file of filesBelow(into)) tidy(join(into, file));
}

/** Packages without a service come with declarations that they do not use, which the compiler refuses. */
function tidy(path: string): void {
  const text = readFileSync(path, 'utf8');
  if (text.includes('SubtypeConstructor<typeof') || !text.includes('type SubtypeConstructor')) return;
  const lines = text.split('\n').filter((line) => line !== "import type * as grpc from '@grpc/grpc-js';");
  const start = lines.findIndex((line) => line.startsWith('type SubtypeConstructor'));
  lines.splice(start, 4);
  writeFileSync(path, lines.join('\n'));
}

function filesBelow(dir: string): readonly string[] {
  if (!existsSync(dir)) return [];
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1));
}

/** Files that are missing, left over or different in `GENERATED`, compared with `fresh`. */
function drift(fresh: string): readonly string[] {
  const wanted = filesBelow(fresh);
  const missing = wanted.filter((file) => !existsSync(join(GENERATED, file)));
  const extra = filesBelow(GENERATED).filter((file) => !wanted.includes(file));
  const changed = wanted.filter((file) => {
    return !missing.includes(file) && readFileSync(join(fresh, file), 'utf8') !== readFileSync(join(GENERATED, file), 'utf8');
  });
  return [...missing, ...extra, ...changed].toSorted();
}

const fresh = mkdtempSync(join(tmpdir(), 'switchyard-proto-'));
try {
  generate(fresh);
  if (process.argv.includes('--check')) {
    const files = drift(fresh);
    if (files.length > 0) {
      process.stderr.write(`proto/gen does not match the .proto files; run "npm run proto":\n  ${files.join('\n  ')}\n`);
      process.exitCode = 1;
    }
  } else {
    rmSync(GENERATED, { recursive: true, force: true });
    cpSync(fresh, GENERATED, { recursive: true });
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

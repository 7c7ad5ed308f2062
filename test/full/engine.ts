import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { until } from '../fixtures/until.ts';
import { downloadPackages, unpackPackages } from '../fixtures/debian.ts';
import { output, run } from '../fixtures/run.ts';

/** How long the engine may take to answer after its start, and to end after SIGTERM. */
const PATIENCE_MS = 60_000;

/** A Docker engine. Disposal ends one that we have started, with all its containers and images; another one it leaves alone. */
export interface Engine extends AsyncDisposable {
  /** What DOCKER_HOST must be to reach it. */
  readonly host: string;
  /** The path of a command line that fits to it. */
  readonly docker: string;
  /** Whether it is ours, made for this run. */
  readonly isPrivate: boolean;
}

/**
 * The engine that DOCKER_HOST names or that listens at the usual place; where none does, one from Debian's package, which is
 * unpacked and not installed, and started on directories, a socket and a bridge of its own. It changes no rules of the host's
 * firewall: containers reach each other and the host reaches them, but they do not reach the world.
 * @throws {Error} where there is none and none can be started, with the engine's own words.
 */
export async function openEngine(env: NodeJS.ProcessEnv): Promise<Engine> {
  const host = env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  const path = env['PATH'] ?? '';
  const client = onPath('docker', path);
  if (client !== undefined && (await answers(client, host))) {
    return { host, docker: client, isPrivate: false, [Symbol.asyncDispose]: async () => undefined };
  }
  if (env['DOCKER_HOST'] !== undefined) throw new Error(`No Docker engine answers at DOCKER_HOST=${host}; unset it to have one started`);
  if (process.getuid?.() !== 0 || onPath('apt-get', path) === undefined) {
    throw new Error('No Docker engine runs here. Start one, or run this as root on Debian, where it starts one by itself');
  }
  return startEngine(path);
}

async function startEngine(hostPath: string): Promise<Engine> {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'switchyard-engine-'));
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const { bin, env } = await engineFiles(dir, hostPath);
  const bridge = await openBridge();
  stack.defer(() => bridge[Symbol.asyncDispose]());
  const socket = `unix://${join(dir, 'docker.sock')}`;
  const places = ['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'pid'), '-H', socket];
  const network = ['--bridge', bridge.name, '--default-address-pool', `base=172.29.0.0/16,size=24`];
  const untouched = ['--iptables=false', '--ip-forward=false', '--ip-masq=false'];
  const log = join(dir, 'log');
  const file = openSync(log, 'w');
  // It ends with the process that started it, even where that is killed.
  const args = ['--pdeathsig', 'TERM', join(bin, 'dockerd'), ...places, ...network, ...untouched];
  const engine = spawn('setpriv', args, { env, stdio: ['ignore', file, file] });
  closeSync(file);
  stack.defer(() => endProcess(engine));
  const docker = join(bin, 'docker');
  const state = await until(
    'the Docker engine answers',
    async () => (engine.exitCode !== null ? 'ended' : (await answers(docker, socket)) && 'ready'),
    PATIENCE_MS,
  ).catch(() => 'silent');
  if (state !== 'ready') throw new Error(`The Docker engine does not start here:\n${lastLines(log)}`);
  // Their bridges would stay behind on the host.
  stack.defer(() => removeContainers(docker, socket));
  const kept = stack.move();
  return { host: socket, docker, isPrivate: true, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The programs of the engine, from Debian's package, and the environment in which they find each other. */
async function engineFiles(dir: string, hostPath: string): Promise<{ readonly bin: string; readonly env: NodeJS.ProcessEnv }> {
  const root = join(dir, 'root');
  await unpackPackages(await downloadPackages(['docker.io'], 'beside-host'), root);
  const bin = join(dir, 'bin');
  await mkdir(bin);
  const links = 'for dir in usr/bin usr/sbin sbin; do for f in "$1/$dir"/*; do [ -e "$f" ] && ln -sf "$f" "$2/"; done; done; true';
  await output('sh', ['-c', links, 'link', root, bin]);
  // The alternatives system, which packages set up when they are installed, would have made this link.
  await output('ln', ['-sf', join(root, 'usr/sbin/xtables-nft-multi'), join(bin, 'iptables')]);
  const libraries = (await output('sh', ['-c', 'ls -d "$1"/usr/lib/*-linux-gnu*', 'list', root])).trim().split('\n');
  const path = [bin, hostPath, '/usr/local/sbin:/usr/sbin:/sbin'].join(delimiter);
  // The names of a network's containers are answered by rules that iptables makes in each of them; its parts lie beside it.
  const extensions = libraries.map((dir) => join(dir, 'xtables')).find((dir) => existsSync(dir)) ?? '';
  return { bin, env: { PATH: path, LD_LIBRARY_PATH: libraries.join(':'), XTABLES_LIBDIR: extensions } };
}

/** A bridge of our own for containers, so that none which the host has is used or left behind. */
async function openBridge(): Promise<AsyncDisposable & { readonly name: string }> {
  const name = `switchyard${process.pid % 100_000}`;
  await output('ip', ['link', 'add', 'name', name, 'type', 'bridge']);
  const remove = async () => void (await output('ip', ['link', 'delete', name]));
  try {
    await output('ip', ['address', 'add', `172.28.${process.pid % 256}.1/24`, 'dev', name]);
    await output('ip', ['link', 'set', name, 'up']);
  } catch (error) {
    await remove();
    throw error;
  }
  return { name, [Symbol.asyncDispose]: remove };
}

/** All containers and networks of an engine, which a test that was broken off has left. */
async function removeContainers(docker: string, host: string): Promise<void> {
  const { stdout } = await run(docker, ['--host', host, 'ps', '--all', '--quiet']);
  const ids = stdout.split('\n').filter((id) => id !== '');
  if (ids.length > 0) await run(docker, ['--host', host, 'rm', '--force', '--volumes', ...ids]);
  await run(docker, ['--host', host, 'network', 'prune', '--force']);
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(patience);
}

async function answers(docker: string, host: string): Promise<boolean> {
  const asked = await run(docker, ['--host', host, 'version', '--format', '{{.Server.Version}}'], { deadlineMs: 10_000 });
  return asked.code === 0;
}

function onPath(program: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .map((dir) => join(dir, program))
    .find((file) => existsSync(file));
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-12).join('\n');
}

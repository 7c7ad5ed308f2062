import fs from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { codeOf } from '../../base/thrown.ts';
import { Fault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import { UsageError } from '../exit.ts';
import { readToken, yardFileIn, type Located } from '../locate.ts';
import { agentsDir } from './agents-dir.ts';
import { superviseChild, type ChildEvent, type SupervisedChild } from './child.ts';
import { lockYard } from './lock.ts';
import { writePrivate, writeYardTokens, type YardAgent } from './tokens.ts';

/** One coordinator and a few agents on this host, each a process of its own. */
export interface Yard extends AsyncDisposable {
  readonly located: Located;
  readonly agents: readonly YardAgent[];
}

export type YardOptions = {
  readonly stateDir: string;
  readonly agents: readonly YardAgent[];
  /** Port of the coordinator; 0 takes a free one. The data plane always takes a free one. */
  readonly port: number;
  readonly sandbox: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly onEvent: (event: ChildEvent) => void;
  /** Agents start when this settles: a build whose steps are all cached needs none, and would share its time with them. */
  readonly agentsAfter: Promise<void>;
};

const ROOT = path.dirname(path.dirname(import.meta.dirname));
/** main.ts, or main.js where we were compiled. */
const MAIN = `main${path.extname(import.meta.filename)}`;
/** A log that has grown beyond this is begun anew when the yard starts. */
const LOG_BYTES_MAX = 16 * 1024 * 1024;

/** Two agents at the edge for light steps, and one in the centre with a slot for each core. */
export function defaultAgents(): readonly YardAgent[] {
  return [
    { name: 'edge-1', role: 'edge', slots: 1 },
    { name: 'edge-2', role: 'edge', slots: 1 },
    { name: 'central-1', role: 'central', slots: Math.max(2, availableParallelism()) },
  ];
}

/**
 * Starts the yard; it is usable when this resolves, though agents may still be on their way: cached steps need none. What
 * dies is started again, under the same addresses. Disposal stops everything in good order.
 * @throws {UsageError} where a yard runs here already; {Fault} CONFIG_INVALID where the coordinator does not start.
 */
export async function startYard(options: YardOptions): Promise<Yard> {
  const { stateDir, agents } = options;
  makeStateDir(stateDir);
  await using stack = new AsyncDisposableStack();
  stack.use(lockYard(path.join(stateDir, 'yard.lock')));
  const logs = path.join(stateDir, 'logs');
  fs.mkdirSync(logs, { recursive: true, mode: 0o700 });
  const workDirs = agentsDir(stateDir, options.env);
  const tokens = writeYardTokens(path.join(stateDir, 'tokens'), agents);
  const [port, dataPort] = await freePorts(options.port);
  const address = `127.0.0.1:${port}`;
  const start = (name: string, argv: readonly string[], stopMs: number): SupervisedChild => {
    const plan = {
      name,
      argv: [path.join(ROOT, name === 'coordinator' ? 'coordinator' : 'agent', MAIN), ...argv, '--exit-with-parent'],
      env: childEnv(options.env),
      cwd: path.dirname(stateDir),
      logFile: freshLog(logs, name),
      stopMs,
    };
    return superviseChild(plan, options);
  };
  const coordinator = start('coordinator', coordinatorArgv(address, dataPort, stateDir, tokens.tokensFile), 10_000);
  stack.use(coordinator);
  await coordinator.ready;
  // Only now: until here they would take the coordinator's time.
  let ending = false;
  let started: readonly SupervisedChild[] = [];
  const startAgents = () => {
    if (ending) return;
    started = agents.map((agent) =>
      start(agent.name, agentArgv(agent, address, workDirs, tokens.agentFile(agent.name), options.sandbox), 5_000),
    );
  };
  options.agentsAfter.then(startAgents, startAgents);
  // Disposed in reverse: agents stop before the coordinator, side by side.
  stack.defer(async () => {
    ending = true;
    await Promise.all(started.map((agent) => agent[Symbol.asyncDispose]()));
  });
  const yardFile = yardFileIn(stateDir);
  writePrivate(yardFile, `${JSON.stringify({ address, tokenFile: tokens.callerFile, pid: process.pid })}\n`);
  stack.defer(() => fs.rmSync(yardFile, { force: true }));
  const kept = stack.move();
  return {
    located: { link: { address, token: readToken(tokens.callerFile) }, from: 'yard' },
    agents,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function makeStateDir(stateDir: string): void {
  try {
    fs.mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    fs.chmodSync(stateDir, 0o700);
  } catch (error) {
    const code = codeOf(error) ?? String(error);
    throw new UsageError(`The state directory ${stateDir} cannot be made (${code})`, 'Run it in a directory that you may write.');
  }
}

function coordinatorArgv(address: string, dataPort: number, stateDir: string, tokensFile: string): readonly string[] {
  return [
    `--listen=${address}`,
    `--data-listen=127.0.0.1:${dataPort}`,
    `--state-dir=${path.join(stateDir, 'coordinator')}`,
    `--tokens-file=${tokensFile}`,
    // Every user of this host can reach the port: the token tells who may.
    '--no-allow-local',
  ];
}

function agentArgv(agent: YardAgent, address: string, workDirs: string, tokenFile: string, sandbox: string): readonly string[] {
  return [
    `--coordinator=${address}`,
    `--id=${agent.name}`,
    `--token-file=${tokenFile}`,
    `--label=class=${agent.role}`,
    `--slots=${agent.slots}`,
    `--work-dir=${path.join(workDirs, agent.name)}`,
    `--sandbox=${sandbox}`,
    '--drain-timeout=4s',
  ];
}

/** Without the caller's server, token and certificates: children have their own. */
function childEnv(env: YardOptions['env']): Record<string, string | undefined> {
  const own = /^SWITCHYARD_(SERVER|TOKEN|TOKEN_FILE|TLS_.*|INSECURE)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.test(name)));
}

function freshLog(dir: string, name: string): string {
  const file = path.join(dir, `${name}.log`);
  try {
    if (fs.statSync(file).size > LOG_BYTES_MAX) fs.renameSync(file, `${file}.1`);
  } catch {
    // not there yet
  }
  return file;
}

/**
 * The wanted port and a free one. They stay the same however often a child is started again.
 * @throws {Fault} CONFIG_INVALID where the wanted one is taken.
 */
async function freePorts(wanted: number): Promise<readonly [number, number]> {
  const open = (port: number) =>
    new Promise<{ readonly port: number; readonly close: () => Promise<void> }>((resolve, reject) => {
      const server = createServer();
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new Fault('CONFIG_INVALID', `Port ${port} cannot be used (${error.code ?? error.message})`, {
            hint: 'Choose another with --port, or leave it out.',
          }),
        ),
      );
      server.listen({ port, host: '127.0.0.1' }, () => {
        const bound = server.address();
        const number = typeof bound === 'object' && bound !== null ? bound.port : port;
        resolve({ port: number, close: () => new Promise((done) => server.close(() => done())) });
      });
    });
  const ports = [await open(wanted), await open(0)] as const;
  await Promise.all(ports.map((port) => port.close()));
  return [ports[0].port, ports[1].port];
}

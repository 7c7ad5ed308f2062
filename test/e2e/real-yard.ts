import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuildSnapshot, StepView } from '../../cli/build-view.ts';
import { connectBuildServer, type BuildServer } from '../../cli/rpc/client.ts';
import { freePorts } from '../fixtures/ports.ts';
import { startSwitchyard, type RunningProcess } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const never = new AbortController().signal;

/** A coordinator and agents, each a real process of its own that can be killed and started again on what it left. */
export interface RealYard extends AsyncDisposable {
  /** An empty directory for pipeline files, in which commands run. */
  readonly work: string;
  readonly dir: string;
  readonly address: string;
  readonly server: BuildServer;
  /** Arguments that lead any command to this yard. */
  readonly at: readonly string[];
  readonly coordinator: RunningProcess;
  agent(name: string): RunningProcess;
  /** kill -9, and then a new process on the same state and ports, once `between` has resolved; `args` replace `coordinatorArgs`. */
  killCoordinator(between?: () => Promise<void>, args?: readonly string[]): Promise<void>;
  killAgent(name: string, between?: () => Promise<void>): Promise<void>;
}

export type RealYardOptions = {
  readonly agents: readonly string[];
  readonly coordinatorArgs?: readonly string[];
  readonly agentArgs?: readonly string[];
  /** Of each agent. @default 2 */
  readonly slots?: number;
  readonly env?: Readonly<Record<string, string>>;
};

/** Starts it; every agent has the label `name`. Ready when all of them are registered. */
export async function startRealYard(options: RealYardOptions): Promise<RealYard> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const work = join(dir.path, 'work');
  await mkdir(work);
  const ports = await freePorts(2);
  const [address, dataAddress] = [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`];
  const state = join(dir.path, 'coordinator');
  const runOptions = { cwd: dir.path, ...(options.env === undefined ? {} : { env: options.env }) };
  let coordinatorArgs = options.coordinatorArgs ?? [];
  const startCoordinator = () => {
    const own = ['coordinator', '--listen', address, '--data-listen', dataAddress, '--state-dir', state];
    return startSwitchyard([...own, ...coordinatorArgs], runOptions);
  };
  const startAgent = (name: string) => {
    const own = ['agent', '--coordinator', address, '--id', name, '--label', `name=${name}`, '--slots', String(options.slots ?? 2)];
    const files = ['--work-dir', join(dir.path, name), '--token-file', join(state, 'agent-token')];
    return startSwitchyard([...own, ...files, ...(options.agentArgs ?? [])], runOptions);
  };
  const agents = new Map<string, RunningProcess>();
  let coordinator = startCoordinator();
  stack.defer(async () => {
    await Promise.all([...agents.values(), coordinator].map((process) => process[Symbol.asyncDispose]()));
  });
  await coordinator.ready();
  for (const name of options.agents) agents.set(name, startAgent(name));
  await Promise.all([...agents.values()].map((agent) => agent.ready()));
  const server = stack.use(connectBuildServer({ address, token: undefined }));
  const agent = (name: string): RunningProcess => {
    const found = agents.get(name);
    if (found === undefined) throw new Error(`There is no agent ${name}`);
    return found;
  };
  const kept = stack.move();
  return {
    work,
    dir: dir.path,
    address,
    server,
    at: ['--server', address],
    get coordinator() {
      return coordinator;
    },
    agent,
    async killCoordinator(between, args) {
      await kill(coordinator);
      await between?.();
      coordinatorArgs = args ?? coordinatorArgs;
      coordinator = startCoordinator();
      await coordinator.ready();
    },
    async killAgent(name, between) {
      await kill(agent(name));
      await between?.();
      agents.set(name, startAgent(name));
      await agent(name).ready();
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** kill -9 of this one process: whatever goes with it, goes by its own care. */
async function kill(process: RunningProcess): Promise<void> {
  process.kill('SIGKILL');
  await process.ended;
}

/** Writes `files` below `dir`. */
export async function writeFiles(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
}

/** The build that a `run -o json` has submitted. */
export async function submittedBy(run: RunningProcess): Promise<string> {
  const build = () => /"kind":"submitted","build":"(b-[0-9a-z]+)"/.exec(run.stdout())?.[1];
  const ended = run.ended.then(() => {
    if (build() === undefined) throw new Error(`Nothing was submitted:\n${run.stdout()}${run.stderr()}`);
  });
  return Promise.race([until('the build is submitted', build), ended.then(() => build() ?? '')]);
}

/** A build as it is now; waits for a server that is away. */
export async function snapshotOf(server: BuildServer, build: string): Promise<BuildSnapshot> {
  return until(`${build} can be read`, () => server.snapshot(build, never));
}

export async function stepOf(server: BuildServer, build: string, name: string): Promise<StepView> {
  const { steps } = await snapshotOf(server, build);
  const found = steps.find((step) => step.name === name);
  if (found === undefined) throw new Error(`There is no step ${name}`);
  return found;
}

/** The build at its end. */
export async function endOf(server: BuildServer, build: string): Promise<BuildSnapshot> {
  return until(`${build} ends`, async () => {
    const snapshot = await snapshotOf(server, build);
    return snapshot.build.phase === 'ended' && snapshot;
  });
}

/** Reads a log from its beginning, as far as `enough` wants it, else to its end; follows it live. */
export async function readLog(
  server: BuildServer,
  build: string,
  step: string,
  enough: (bytes: number) => boolean = () => false,
): Promise<Buffer> {
  const stop = new AbortController();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const { data } of server.log({ build, step, attempt: 0, offset: 0, follow: true }, stop.signal)) {
    pieces.push(data);
    bytes += data.byteLength;
    if (enough(bytes)) break;
  }
  stop.abort();
  return Buffer.concat(pieces);
}

/** Waits until a step's log has reached the server with at least so many bytes. */
export async function logReaches(server: BuildServer, build: string, step: string, bytes: number): Promise<void> {
  await until(
    `${step} has logged ${bytes} bytes`,
    async () => (await readLog(server, build, step, (seen) => seen >= bytes)).byteLength >= bytes,
  );
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '../fixtures/temp-dir.ts';
import { openNetwork, startContainer, type Container, type Docker } from './docker.ts';
import type { RunResult } from '../fixtures/run.ts';

export type YardOptions = {
  readonly docker: Docker;
  /** The image of switchyard. */
  readonly image: string;
  /** Names of the containers in which coordinators will run, for agents and commands. */
  readonly coordinators: readonly string[];
};

/** Coordinators, agents and commands in containers of one network, each with its token. Disposal removes all of it. */
export interface ContainerYard extends AsyncDisposable {
  readonly network: string;
  /** A container that other ones reach as `name`. */
  start(name: string, args: readonly string[]): Promise<Container>;
  /** A coordinator at `name`, with `options` of docker and `args` of its own; ready when this returns. */
  startCoordinator(name: string, options?: readonly string[], args?: readonly string[]): Promise<Container>;
  /** An agent with the label `name`, which may not be ready yet. */
  startAgent(name: string, options?: readonly string[], args?: readonly string[]): Promise<Container>;
  /** Runs a command line in a container to its end. */
  switchyard(...args: readonly string[]): Promise<RunResult>;
  /** Runs a shell script at the agent `name`, on no files. */
  execAt(name: string, script: string): Promise<RunResult>;
}

export async function openContainerYard({ docker, image, coordinators }: YardOptions): Promise<ContainerYard> {
  await using stack = new AsyncDisposableStack();
  const files = stack.use(await tempDir());
  const { name: network } = stack.use(await openNetwork(docker));
  const newToken = async (kind: string, ...fields: readonly string[]) => {
    const text = await docker.output('run', '--rm', image, 'token', 'create', '-o', 'json', '--kind', kind, ...fields, kind);
    return JSON.parse(text) as { token: string; entry: object }; // the form that the command line promises
  };
  const caller = await newToken('caller', '--role', 'admin', '--project', 'shop', '--zone', 'trusted');
  const agent = await newToken('agent', '--cluster', 'main', '--pool', 'central', '--zone', 'trusted');
  const tokens = join(files.path, 'tokens.json');
  await writeFile(tokens, JSON.stringify([caller.entry, agent.entry]));
  // The user of the image is another one than ours.
  await chmod(files.path, 0o755);
  await chmod(tokens, 0o644);
  const addresses = coordinators.map((name) => `${name}:7410`).join(',');
  const kept = stack.move();
  const start = async (name: string, args: readonly string[]) =>
    kept.use(await startContainer(docker, ['--network', network, '--network-alias', name, ...args]));
  const switchyard = (...args: readonly string[]) => {
    const at = [
      '--env',
      'SWITCHYARD_INSECURE=true',
      '--env',
      `SWITCHYARD_SERVER=${addresses}`,
      '--env',
      `SWITCHYARD_TOKEN=${caller.token}`,
    ];
    return docker.run('run', '--rm', '--network', network, ...at, '--workdir', '/tmp', image, ...args);
  };
  return {
    network,
    start,
    switchyard,
    execAt: (name, script) => switchyard('exec', '--select', `name=${name}`, '--', 'sh', '-c', script),
    async startCoordinator(name, options = [], args = []) {
      const run = ['--volume', `${tokens}:/tokens.json:ro`, '--health-interval', '1s', ...options];
      const listen = ['--insecure', '--listen', '0.0.0.0:7410', '--data-listen', '0.0.0.0:7411', '--data-address', `${name}:7411`];
      const own = ['coordinator', '--tokens-file', '/tokens.json', ...listen, ...args];
      const coordinator = await start(name, [...run, image, ...own]);
      await coordinator.ready();
      return coordinator;
    },
    startAgent(name, options = [], args = []) {
      const run = ['--no-healthcheck', '--env', `SWITCHYARD_AGENT_TOKEN=${agent.token}`, ...options];
      const own = ['agent', '--insecure', '--coordinator', addresses, '--id', name, '--label', `name=${name}`, ...args];
      return start(name, [...run, image, ...own]);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

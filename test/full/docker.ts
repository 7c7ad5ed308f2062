import { randomUUID } from 'node:crypto';
import { until } from '../fixtures/until.ts';
import { output, run, type RunResult } from '../fixtures/run.ts';

/** How long a container may take to begin or to end. */
const PATIENCE_MS = 60_000;

/** The command line of one engine. */
export type Docker = {
  /** @throws {Error} with everything that docker wrote, where it failed. */
  output(...args: readonly string[]): Promise<string>;
  run(...args: readonly string[]): Promise<RunResult>;
};

/** A container that runs in the background. Disposal removes it, running or not. */
export interface Container extends AsyncDisposable {
  readonly id: string;
  /** What it has written to standard output and standard error so far. */
  logs(): Promise<{ readonly stdout: string; readonly stderr: string }>;
  /** The first line of its standard output, once it is an object with `ready: true`; fails when the container ends before. */
  ready(): Promise<Readonly<Record<string, unknown>>>;
  /** `docker stop` with a time of grace; the exit code of the program, 137 where it had to be killed. */
  stop(graceSeconds: number): Promise<number>;
}

/** Speaks to the engine at `host` through the command line at `path`. */
export function dockerAt(path: string, host: string): Docker {
  return {
    output: (...args) => output(path, ['--host', host, ...args]),
    run: (...args) => run(path, ['--host', host, ...args]),
  };
}

/** `docker run --detach`, with options before the image's name and the command behind it. */
export async function startContainer(docker: Docker, args: readonly string[]): Promise<Container> {
  const id = (await docker.output('run', '--detach', ...args)).trim();
  const logs = () => docker.run('logs', id);
  return {
    id,
    logs,
    async ready() {
      const line = await until(
        `container ${args.join(' ')} is ready`,
        async () => {
          const { stdout } = await logs();
          const first = stdout.split('\n').find((text) => text.startsWith('{"ready":true'));
          if (first !== undefined) return first;
          return (await docker.output('inspect', '--format', '{{.State.Running}}', id)).trim() === 'false' && 'ended';
        },
        PATIENCE_MS,
      );
      if (line !== 'ended') return JSON.parse(line) as Record<string, unknown>; // it begins like an object
      const { stdout, stderr } = await logs();
      throw new Error(`container ${args.join(' ')} ended before it was ready:\n${stdout}${stderr}`);
    },
    async stop(graceSeconds) {
      await docker.output('stop', '--time', String(graceSeconds), id);
      return Number(await docker.output('inspect', '--format', '{{.State.ExitCode}}', id));
    },
    [Symbol.asyncDispose]: async () => void (await docker.output('rm', '--force', '--volumes', id)),
  };
}

/** A network in which containers find each other by name. */
export async function openNetwork(docker: Docker): Promise<AsyncDisposable & { readonly name: string }> {
  const name = `switchyard-test-${randomUUID().slice(0, 8)}`;
  await docker.output('network', 'create', name);
  return { name, [Symbol.asyncDispose]: async () => void (await docker.output('network', 'rm', name)) };
}

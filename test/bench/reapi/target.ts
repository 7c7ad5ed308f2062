import { startSwitchyard } from '../../fixtures/run-process.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { openGrpcLoad, type GrpcLoad } from './grpc-load.ts';
import { listeningPid } from './server-process.ts';

/** Connections of the load; calls take them in turns. */
const CONNECTIONS = 4;

/** A server that is measured, and the load on it. */
export type Target = {
  readonly name: string;
  readonly address: string;
  readonly load: GrpcLoad;
  /** The server's process, where it is on this host. */
  readonly pid: number | undefined;
} & AsyncDisposable;

export async function targetAt(name: string, address: string, connections = CONNECTIONS): Promise<Target> {
  const load = await openGrpcLoad(address, connections);
  const pid = listeningPid(Number(address.slice(address.lastIndexOf(':') + 1)));
  return {
    name,
    address,
    load,
    pid,
    async [Symbol.asyncDispose]() {
      load[Symbol.dispose]();
    },
  };
}

/** The data plane of a coordinator, on local disk unless `args` and `env` say otherwise. */
export async function ownServer(
  name = 'switchyard',
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Target> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const flags = ['--state-dir', dir.path, '--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0', '--log-level', 'warn'];
  const server = stack.use(startSwitchyard(['coordinator', ...flags, ...args], { env }));
  const { dataAddress } = await server.ready(60_000);
  const target = stack.use(await targetAt(name, String(dataAddress)));
  const parts = stack.move();
  return { ...target, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

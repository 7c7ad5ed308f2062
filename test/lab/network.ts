import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startMember, type Member } from '../chaos/member.ts';
import { startNetLab, type NetLab } from '../fixtures/netns.ts';
import { ROOT } from '../fixtures/root.ts';
import { startProcess, type RunningProcess } from '../fixtures/run-process.ts';
import { COORDINATORS, LAB_CLUSTERS, type ClusterName, type CoordinatorName } from './clusters.ts';
import type { GatewayPlan } from './gateway.ts';

/** Where all coordinators listen, for callers and agents, and for bulk. */
export const PORTS = { control: 7410, data: 7411 } as const;
/** The name that the certificates of all coordinators have beside their own. */
export const YARD_NAME = 'yard.lab';
export const nameOf = (coordinator: CoordinatorName): string => `${coordinator}.lab`;
export const S3_NAME = 's3.lab';
/** Where people call from. */
export const CALLERS_HOST = 'callers';

/** One way, of a link that has become slow. */
const SLOW_MS = 250;

/**
 * Network namespaces on a bridge: one for each cluster, each coordinator, and callers; Redis and S3 are in the one of whoever started this.
 * Names lead to the right place in each of them: a coordinator's to itself for other coordinators, and to the cluster's gateway for agents,
 * so that certificates, redirections and signed URLs are what they are in life. Needs root, `ip` and `nft`.
 */
export interface LabNetwork extends AsyncDisposable {
  readonly net: NetLab;
  /** Starts a process on the host, with the host's own names. */
  spawn(host: string, command: readonly string[], options: SpawnOptions): RunningProcess;
  gateway(cluster: ClusterName): Member;
}

export type SpawnOptions = {
  /** Of the directory for what it writes, which is kept. @default none is kept */
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** @default the laboratory's */
  readonly cwd?: string;
};

/** Opens it; ready when the gateways are. `s3Port` is where S3 listens on the address of `test`. */
export async function openLabNetwork(dir: string, s3PortAt: (address: string) => Promise<number>): Promise<LabNetwork> {
  await using stack = new AsyncDisposableStack();
  const net = stack.use(startNetLab([...COORDINATORS, CALLERS_HOST, ...LAB_CLUSTERS.map(({ name }) => name)]));
  const s3Port = await s3PortAt(net.address('test'));
  const hostsFile = (host: string, lines: readonly string[]) => {
    const path = join(dir, 'hosts', host);
    mkdirSync(join(dir, 'hosts'), { recursive: true });
    writeFileSync(path, `${['127.0.0.1 localhost', ...lines].join('\n')}\n`);
  };
  for (const host of [...COORDINATORS, CALLERS_HOST])
    hostsFile(host, [...COORDINATORS.map((name) => `${net.address(name)} ${nameOf(name)}`), `${net.address('test')} ${S3_NAME}`]);
  const spawn: LabNetwork['spawn'] = (host, command, { name, env = {}, cwd = dir }) => {
    const outputDir = name === undefined ? undefined : join(dir, 'logs', name);
    if (outputDir !== undefined) mkdirSync(outputDir, { recursive: true });
    // The namespace of mounts is the process' own: nobody else sees these names.
    const named = ['sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', join(dir, 'hosts', host)];
    return startProcess([...net.prefix(host), ...named, ...command], { cwd, env, ...(outputDir === undefined ? {} : { outputDir }) });
  };
  const gateways = new Map<ClusterName, Member>();
  for (const { name, delayMs } of LAB_CLUSTERS) {
    const links = COORDINATORS.flatMap((coordinator, index) =>
      Object.values(PORTS).map((port) => ({ listen: `127.0.1.${index + 1}:${port}`, target: `${net.address(coordinator)}:${port}` })),
    );
    links.push({ listen: `127.0.1.9:${s3Port}`, target: `${net.address('test')}:${s3Port}` });
    hostsFile(name, [...COORDINATORS.map((coordinator, index) => `127.0.1.${index + 1} ${nameOf(coordinator)}`), `127.0.1.9 ${S3_NAME}`]);
    const plan: GatewayPlan = { links, delayMs, slowMs: SLOW_MS };
    const command = [process.execPath, join(ROOT, 'test/lab/gateway.ts'), JSON.stringify(plan)];
    const gateway = stack.use(startMember(`gateway-${name}`, () => spawn(name, command, { name: `gateway-${name}` })));
    await gateway.process.ready();
    gateways.set(name, gateway);
  }
  const kept = stack.move();
  return {
    net,
    spawn,
    gateway(cluster) {
      const gateway = gateways.get(cluster);
      if (gateway === undefined) throw new Error(`There is no cluster ${cluster}`);
      return gateway;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

import type { AuditNote, AuditSink } from '../../base/audit.ts';
import { hashToken, tokenAuthenticator, type Identity } from '../../base/auth.ts';
import { present } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import type { DataPlane } from '../../cache/rpc/client.ts';
import type { Timings } from '../../coordinator/core/limits.ts';
import type { Ledger } from '../../coordinator/ledger/ledger.ts';
import { agentService } from '../../coordinator/rpc/agent-service.ts';
import { buildService } from '../../coordinator/rpc/build-service.ts';
import { openForwarder } from '../../coordinator/rpc/forward.ts';
import type { Role, RoleSource } from '../../coordinator/role/role.ts';
import { openArchive, type Archive } from '../../coordinator/archive/archive.ts';
import { DEFAULT_LOG_LIMITS, type LogLimits } from '../../coordinator/shell/logs.ts';
import { startShell, type Shell, type ShellMeasures } from '../../coordinator/shell/shell.ts';
import { dial } from '../../proto/dial.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import { loadProto } from '../../proto/load.ts';
import { serve, type RunningServer } from '../../proto/serve.ts';

const caller = (name: string, over: Partial<Extract<Identity, { kind: 'caller' }>['caller']> = {}): Identity => ({
  kind: 'caller',
  caller: { name, role: 'submitter', project: 'shop', scope: 'main', zoneCeiling: 'trusted', ...over },
});

/** Whose token is its name. */
export const IDENTITIES = {
  submitter: caller('submitter'),
  viewer: caller('viewer', { role: 'viewer' }),
  operator: caller('operator', { role: 'operator' }),
  stranger: caller('stranger', { project: 'other', role: 'admin' }),
  fork: caller('fork', { scope: 'main/pr-7', zoneCeiling: 'untrusted' }),
  agent: { kind: 'agent', name: 'agent', cluster: 'c1', pool: 'edge', zone: 'trusted' },
  centralAgent: { kind: 'agent', name: 'central-agent', cluster: 'c1', pool: 'central', zone: 'trusted' },
  forkAgent: { kind: 'agent', name: 'fork-agent', cluster: 'c1', pool: 'edge', zone: 'untrusted' },
  service: { kind: 'service', name: 'service' },
} as const satisfies Record<string, Identity>;

export type TokenName = keyof typeof IDENTITIES;

export const tokenOf = (name: TokenName) => new Secret(name);

/** The shell and services of a coordinator, served over gRPC on loopback, on a ledger and data plane that outlive it. */
export interface ServedCoordinator extends AsyncDisposable {
  readonly address: string;
  readonly shell: Shell;
  readonly archive: Archive;
  readonly log: ReturnType<typeof memoryLogger>;
  /** What went to the audit. */
  readonly notes: readonly AuditNote[];
  client(token: TokenName): BuildClient;
}

export type ServedOptions = {
  readonly ledger: Ledger;
  readonly data: DataPlane;
  readonly timings?: Partial<Timings>;
  readonly logLimits?: Partial<LogLimits>;
  readonly measures?: ShellMeasures;
};

export async function serveCoordinator(options: ServedOptions): Promise<ServedCoordinator> {
  await using stack = new AsyncDisposableStack();
  const env = { log: memoryLogger(), clock: systemClock };
  const term = present(
    await options.ledger.lead({ id: 'test', address: '' }, 60_000, new AbortController().signal),
    'the same holder leads again',
  );
  const logLimits = { ...DEFAULT_LOG_LIMITS, ...options.logLimits };
  const shell = stack.use(
    await startShell({
      ledger: options.ledger,
      term,
      data: options.data,
      timings: options.timings ?? {},
      logLimits,
      signOfLifeMs: 20_000,
      ...(options.measures === undefined ? {} : { measures: options.measures }),
      env,
    }),
  );
  const authenticator = tokenAuthenticator(
    Object.entries(IDENTITIES).map(([name, identity]) => ({ sha256: hashToken(name), identity })),
    undefined,
  );
  const never = new AbortController().signal;
  const role: Role = { kind: 'leading', shell, over: never };
  const roles: RoleSource = { current: () => role, known: async () => role, stopping: never };
  const notes: AuditNote[] = [];
  const audit: AuditSink = { note: (note) => void notes.push(note) };
  const common = { role: roles, dataAddress: () => '127.0.0.1:1', audit, env };
  const storeFor = (instanceName: string) => options.data.withInstance(instanceName).store;
  const forwarder = stack.use(openForwarder(() => env.clock.now()));
  const archive = openArchive({ ledger: options.ledger, cacheOf: (instanceName) => options.data.withInstance(instanceName), log: env.log });
  const services = [
    buildService({ ...common, reads: undefined, forwarder, archive, storeFor, address: () => server.address, version: '0.0.0' }),
    agentService({ ...common, logLimits }),
  ];
  const server: RunningServer = stack.use(await serve({ listen: '127.0.0.1:0', services, authenticator, env, drainMs: 100 }));
  stack.defer(() => shell.sessions.closeAll());
  const clients: BuildClient[] = [];
  const parts = stack.move();
  return {
    address: server.address,
    shell,
    archive,
    log: env.log,
    notes,
    client(token) {
      const client = dial(loadProto().switchyard.v1.Build, { address: server.address, token: tokenOf(token) }, 'control');
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await parts.disposeAsync();
    },
  };
}

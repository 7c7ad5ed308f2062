import { hashToken, tokenAuthenticator } from '../../base/auth.ts';
import { systemClock, type Clock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import type { ServerTls } from '../../base/server-tls.ts';
import { freshKeyring, type Keyring } from '../../base/signing.ts';
import { vouchingBy } from '../../base/vouch.ts';
import type { DataPlane } from '../../cache/rpc/client.ts';
import { openGrants } from '../../cache/rpc/grants.ts';
import { openArchive } from '../../coordinator/archive/archive.ts';
import type { SharedLedger } from '../../coordinator/ledger/ledger.ts';
import { openRoleMachine } from '../../coordinator/role/role-machine.ts';
import type { RoleMachine } from '../../coordinator/role/role.ts';
import { agentService } from '../../coordinator/rpc/agent-service.ts';
import { buildService } from '../../coordinator/rpc/build-service.ts';
import { openForwarder } from '../../coordinator/rpc/forward.ts';
import { scalerService } from '../../coordinator/rpc/scaler/scaler-service.ts';
import { reapiServices } from '../../coordinator/rpc/reapi/execution-service.ts';
import { openBuildReader } from '../../coordinator/shell/build-reader.ts';
import { openHintFeed } from '../../coordinator/shell/hint-feed.ts';
import { openInterest } from '../../coordinator/shell/interest.ts';
import { DEFAULT_LOG_LIMITS } from '../../coordinator/shell/logs.ts';
import { startShell } from '../../coordinator/shell/shell.ts';
import { dial } from '../../proto/dial.ts';
import type { BuildClient } from '../../proto/gen/switchyard/v1/Build.ts';
import { loadProto } from '../../proto/load.ts';
import { Relay } from '../../proto/relay.ts';
import { serve } from '../../proto/serve.ts';
import type { DialTls } from '../../proto/tls.ts';
import { IDENTITIES, tokenOf, type TokenName } from './served-coordinator.ts';

/** A coordinator among several on a ledger and a store that outlive it, served over gRPC on loopback. */
export interface CoordinatorNode extends AsyncDisposable {
  readonly address: string;
  readonly roles: RoleMachine;
  readonly log: ReturnType<typeof memoryLogger>;
  client(token: TokenName): BuildClient;
  /** Ends the role machine, as SIGTERM does, while the server still answers. */
  stop(): Promise<void>;
}

export type NodeOptions = {
  readonly ledger: SharedLedger;
  readonly data: DataPlane;
  /** @default 10 s: a busy host may hold this process up for a while */
  readonly ttlMs?: number;
  readonly clock?: Clock;
  /** Served over TLS, and how others that are are dialled; agents may show tokens. @default in clear */
  readonly tls?: { readonly server: ServerTls; readonly dial: DialTls };
  /** The keys that the coordinators of the yard share. @default some of its own */
  readonly keyring?: Keyring;
};

export async function startNode(id: string, options: NodeOptions): Promise<CoordinatorNode> {
  await using stack = new AsyncDisposableStack();
  const { ledger, data, ttlMs = 10_000, clock = systemClock, tls, keyring = freshKeyring() } = options;
  const vouching = vouchingBy(keyring);
  const log = memoryLogger();
  const env = { log, clock };
  const hints = stack.use(openHintFeed(ledger, log));
  const roles = openRoleMachine({
    ledger: { kind: 'shared', ledger, hints },
    ttlMs,
    env,
    seed: 1,
    startShell: (lead, signal) => {
      const holds = () => lead.holds();
      const logLimits = DEFAULT_LOG_LIMITS;
      return startShell({ ledger, term: lead.term, holds, signal, data, timings: {}, logLimits, signOfLifeMs: 20_000, env });
    },
  });
  const authenticator = tokenAuthenticator(
    Object.entries(IDENTITIES).map(([name, identity]) => ({ sha256: hashToken(name), identity })),
    undefined,
    { agentTokens: true, vouching },
  );
  const forwarder = stack.use(openForwarder(() => clock.now(), undefined, tls?.dial, vouching));
  const relay = stack.use(new Relay(() => clock.now(), tls?.dial, vouching));
  const storeFor = (instanceName: string) => data.withInstance(instanceName).store;
  const reader = openBuildReader(ledger, () => clock.monotonic());
  const reads = { ledger, reader, hints, storeFor, signOfLifeMs: 20_000, clock };
  const common = { role: roles, dataAddress: () => `${id}:data`, env };
  const forTools = { grants: openGrants(undefined, clock), floorOf: () => undefined, ignored: new Set<string>(), noAgentMs: 1e9 };
  const archive = openArchive({ ledger, cacheOf: (instanceName) => data.withInstance(instanceName), log });
  const services = [
    buildService({ ...common, reads, forwarder, archive, storeFor, address: () => server.address, version: '0.0.0' }),
    agentService({ ...common, logLimits: DEFAULT_LOG_LIMITS }),
    scalerService({ role: roles, relay, env, lookEveryMs: 50 }),
    ...reapiServices({ ...common, ...forTools, relay, storeFor, interest: openInterest(clock) }),
  ];
  const server: Awaited<ReturnType<typeof serve>> = stack.use(
    await serve({ listen: '127.0.0.1:0', services, authenticator, tls: tls?.server, env, drainMs: 100 }),
  );
  stack.use(roles);
  roles.start({ id, address: server.address });
  const clients: BuildClient[] = [];
  const parts = stack.move();
  return {
    address: server.address,
    roles,
    log,
    client(token) {
      const client = dial(loadProto().switchyard.v1.Build, { address: server.address, token: tokenOf(token), tls: tls?.dial }, 'control');
      clients.push(client);
      return client;
    },
    async stop() {
      await roles[Symbol.asyncDispose]();
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await parts.disposeAsync();
    },
  };
}

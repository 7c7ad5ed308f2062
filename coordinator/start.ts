import { mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { tokenAuthenticator, type Identity } from '../base/auth.ts';
import type { Env } from '../base/env.ts';
import { wrap, type Fault } from '../base/fault.ts';
import { openDataPlane } from '../cache/rpc/client.ts';
import { loadProto } from '../proto/load.ts';
import { serve } from '../proto/serve.ts';
import { openArchive } from './archive/archive.ts';
import { isLocalOnly, type CoordinatorConfig } from './config.ts';
import { startDataPlane } from './data-plane.ts';
import type { Ledger } from './ledger/ledger.ts';
import { openMemoryLedger } from './ledger/memory.ts';
import { openSqliteLedger } from './ledger/sqlite.ts';
import { agentService } from './rpc/agent-service.ts';
import { buildService } from './rpc/build-service.ts';
import { keepLeading, takeLead } from './shell/leadership.ts';
import { DEFAULT_LOG_LIMITS, type LogLimits } from './shell/logs.ts';
import { startRetention } from './shell/retention.ts';
import { startShell } from './shell/shell.ts';
import { openTokens } from './tokens.ts';

/** A coordinator that takes builds and agents. Disposal ends it in order: callers, scheduling, ledger, data plane. */
export interface RunningCoordinator extends AsyncDisposable {
  /** Where callers and agents connect, host:port. */
  readonly address: string;
  /** Where others reach the data plane, host:port. */
  readonly dataAddress: string;
  /** Resolves when the coordinator cannot go on: with the fault, or undefined after disposal. The process then ends. */
  readonly ended: Promise<Fault | undefined>;
}

const TERM_MS = 10_000;
const SIGN_OF_LIFE_MS = 20_000;
const RETENTION_EVERY_MS = 60_000;

/**
 * Starts ledger, data plane, scheduling and server; returns when everything answers. What the ledger holds goes on where it was.
 * @throws {Fault} CONFIG_INVALID, LEDGER_UNAVAILABLE, PEER_UNAVAILABLE
 */
export async function startCoordinator(config: CoordinatorConfig, env: Env): Promise<RunningCoordinator> {
  await using stack = new AsyncDisposableStack();
  const stateDir = resolve(config.stateDir);
  await makeStateDir(stateDir);
  const local = isLocalOnly(config);
  const tokens = await openTokens({ stateDir, tokensFile: config.tokensFile, localAgents: local });
  const authenticator = tokenAuthenticator(tokens.entries, local && config.allowLocal ? localAdmin(config) : undefined);
  const planePlan = {
    listen: config.dataListen,
    args: dataPlaneArgs(config, stateDir, tokens.dataTokensFile),
    prepare: tokens.writeDataTokens,
    meanwhile: () => void loadProto(),
    env,
  };
  // Side by side: each takes a good part of the time to start.
  const starting = [openLedger(config, stateDir, env), startDataPlane(planePlan)] as const;
  for (const part of starting) part.then((started) => stack.use(started)).catch(() => {}); // below it is thrown
  await Promise.allSettled(starting);
  const [ledger, plane] = await Promise.all(starting);
  const data = stack.use(openDataPlane({ link: { address: plane.address, token: tokens.service }, instanceName: '', env }));
  const never = new AbortController().signal;
  const leader = { id: `${hostname()}:${process.pid}`, address: config.listen };
  const term = await takeLead(ledger, leader, TERM_MS, env, never);
  stack.defer(() => ledger.resign(term, never).catch((error: unknown) => env.log.warn('term-not-resigned', { error })));
  const logLimits: LogLimits = { ...DEFAULT_LOG_LIMITS, attemptBytesMax: config.logBytesMax, segmentBytes: config.logSegmentBytes };
  const timings = { leaseTtlMs: config.leaseTtl, heartbeatMs: config.heartbeat, offerTtlMs: config.offerTtl };
  const shell = stack.use(await startShell({ ledger, term, data, timings, logLimits, signOfLifeMs: SIGN_OF_LIFE_MS, env }));
  const { core, driver, logs, sessions, storeOf, watch } = shell;
  stack.use(keepLeading({ ledger, term, ttlMs: TERM_MS, env, onLost: (fault) => driver.stepDown(fault) }));
  const archive = openArchive({ ledger, cacheOf: (instanceName) => data.withInstance(instanceName), log: env.log });
  stack.use(startRetention({ core, driver, archive, env, ...retentionOf(config), everyMs: RETENTION_EVERY_MS }));
  const dataAddress = config.dataAddress ?? plane.address;
  const common = { driver, logs, authenticator, dataAddress: () => dataAddress, env };
  const storeFor = (instanceName: string) => data.withInstance(instanceName).store;
  const services = [
    buildService({ ...common, core, watch, storeFor, storeOf, version: await versionOf() }),
    agentService({ ...common, core, sessions, logLimits }),
  ];
  const server = stack.use(await serve({ listen: config.listen, services, env, drainMs: config.drain }));
  stack.defer(() => sessions.closeAll());
  const parts = stack.move();
  return { address: server.address, dataAddress, ended: driver.ended, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

function retentionOf(config: CoordinatorConfig) {
  const { retention: keepMs, retentionCount: keepCount, retentionSteps: keepSteps, retentionCountMax: hardCount } = config;
  return { keepMs, keepCount, keepSteps, hardCount };
}

async function makeStateDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw wrap(error, `Making the state directory ${path}`);
  }
}

async function openLedger(config: CoordinatorConfig, stateDir: string, env: Env): Promise<Ledger> {
  if (config.ledger === 'memory') return openMemoryLedger({ clock: env.clock });
  return openSqliteLedger({ path: join(stateDir, 'ledger.sqlite'), synchronous: config.synchronous === 'full' ? 'FULL' : 'NORMAL', env });
}

/** Whoever connects from this host without a token, where nobody else can connect at all. */
function localAdmin(config: CoordinatorConfig): Identity {
  const { localProject: project, localScope: scope } = config;
  return { kind: 'caller', caller: { name: 'local', role: 'admin', project, scope, zoneCeiling: 'trusted' } };
}

function dataPlaneArgs(config: CoordinatorConfig, stateDir: string, tokensFile: string): readonly string[] {
  const local = isLocalOnly(config) && config.allowLocal;
  return [
    ...[
      '--dir',
      join(stateDir, 'blobs'),
      '--max-bytes',
      String(config.cacheBytes),
      '--tokens-file',
      tokensFile,
      '--log-level',
      config.logLevel,
    ],
    ...(local ? ['--allow-local', '--local-project', config.localProject, '--local-scope', config.localScope] : []),
  ];
}

async function versionOf(): Promise<string> {
  const json: unknown = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof json === 'object' && json !== null && 'version' in json && typeof json.version === 'string' ? json.version : 'unknown';
}

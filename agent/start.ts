import { randomInt, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { present } from '../base/assert.ts';
import { openBreaker, type Breaker } from '../base/breaker.ts';
import type { Env } from '../base/env.ts';
import { wrap } from '../base/fault.ts';
import type { Environment } from '../base/options.ts';
import { prngFrom } from '../base/prng.ts';
import { Secret } from '../base/secret.ts';
import { openDialTls, openServeTls } from '../base/tls-options.ts';
import { withoutAuthorities } from '../base/tls-source.ts';
import { ByteBudget } from '../cache/byte-budget.ts';
import { openDirectFetcher, type DirectFetcher } from '../cache/direct/fetcher.ts';
import { openDataPlane, type MovableDataPlane } from '../cache/rpc/client.ts';
import type { Link } from '../proto/dial.ts';
import { openAttemptJournal } from './attempt-journal.ts';
import { openLogPipes } from './attempt/log-pipe.ts';
import { shortageOf } from './attempt/report.ts';
import type { AgentConfig } from './config.ts';
import { openAgentMetrics, type AgentMetrics } from './metrics.ts';
import { serveAgentHealth } from './health.ts';
import { detectHost } from './host.ts';
import { sessionDialler } from './rpc/session-client.ts';
import { openGrants, type AttemptGrants } from './grants.ts';
import { stayIdentified } from './identity/identified.ts';
import { keepCertificate, type IdentityClient } from './identity/keeper.ts';
import { identityClient } from './rpc/identity-client.ts';
import { startRunner, type RunnerOptions } from './runner.ts';
import { openSandbox } from './sandbox/open.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import type { AgentProfile } from './session/event.ts';
import { startSession, type Session } from './session/session.ts';
import { watchSpace } from './space.ts';
import { openSpool, type Spool } from './spool/spool.ts';
import { openTier, type LocalTier } from './tier/tier.ts';
import { claimWorkDir } from './work-dir.ts';
import { openWorkspaces } from './workspace/workspace.ts';

/** An agent that dials its coordinator and runs what that offers. Disposal stops what is left of it. */
export interface RunningAgent extends AsyncDisposable {
  readonly id: string;
  readonly session: Pick<Session, 'registered' | 'ended' | 'drain' | 'stop'>;
  readonly sandbox: Pick<Sandbox, 'name' | 'traits' | 'missing'>;
}

/** Names of the agent's own variables: no step gets them, whatever it asks for. */
const OWN_VARIABLE = /^SWITCHYARD_/;

/**
 * Claims the work directory, tries the sandbox, takes up what an earlier life left behind and begins to dial.
 * `environment` is what steps may ask for by `passEnv`. While it waits for a
 * coordinator to let it in, `early` ends it.
 * @throws {Fault} WRONG_STATE where another agent uses the directory; SANDBOX_UNAVAILABLE; CONFIG_INVALID for the token file.
 */
export async function startAgent(
  config: AgentConfig,
  environment: Environment,
  env: Env,
  early: AbortSignal = new AbortController().signal,
): Promise<RunningAgent> {
  const dir = resolve(config.workDir);
  await using stack = new AsyncDisposableStack();
  stack.use(claimWorkDir(dir));
  const client = identityClient(config.tlsServerName);
  const link = await linkOf(config, dir, client, early, stack, env);
  const bootId = randomUUID();
  const journal = stack.use(openAttemptJournal(dir, { agent: config.id, bootId }, env));
  const spool = stack.use(openSpool({ dir: join(dir, 'spool'), bytesMax: config.spoolBytes, env }));
  for (const lease of spool.lost) {
    env.log.warn('attempt-lost-in-crash', lease);
    journal.note({ event: 'lost-in-crash', ...lease });
  }
  const hostPath = environment['PATH'] ?? '';
  const sandbox = stack.use(
    await openSandbox(config.sandbox, { dir: join(dir, 'sandbox'), readOnlyPaths: config.sandboxPaths, hostPath }, env),
  );
  const tier = stack.use(openTierOf(config, dir, sandbox, env));
  const workspaces = await openWorkspaces({ dir: join(dir, 'workspaces'), tier, overlays: sandbox.overlays, env });
  const measured = stack.use(openAgentMetrics({ clock: env.clock, version: versionOf() }));
  const breaker = storeBreaker(env);
  const grants = openGrants();
  const direct = stack.use(openDirectFetcher(env));
  const plane = stack.use(openPlane({ link, grants, breaker, direct, env }));
  const cordon = (reason: string | undefined) => {
    measured.cordoned(reason);
    session.cordon(reason);
  };
  const space = stack.use(watchSpace({ dir, env, onChange: cordon }));
  const onTrouble = (error: unknown) => {
    const shortage = shortageOf(error);
    if (shortage !== undefined) space.short(shortage);
  };
  const passable = Object.fromEntries(Object.entries(environment).filter(([name]) => !OWN_VARIABLE.test(name)));
  const pipes = openLogPipes(join(dir, 'pipes'));
  const executor = stack.use(
    startRunner({ agent: config.id, sandbox, workspaces, pipes, passable, spool, store: plane.store, onTrouble, env }),
  );
  const dialler = sessionDialler({
    link,
    readLog: (token, offset, length) => spool.readLog(token, offset, length),
    env,
  });
  const identified = link.tls && stack.use(stayIdentified({ source: link.tls.source, client, prng: prngFrom(randomInt(2 ** 47)), env }));
  const profile = profileOf(config, bootId, sandbox);
  const prng = prngFrom(randomInt(2 ** 47));
  const onDataPlane = plane.moveTo;
  const session = stack.use(
    startSession({
      profile,
      prng,
      dialler: measured.dialler(grants.dialler(identified?.dialler(dialler) ?? dialler)),
      spool,
      executor: grants.executor(measured.executor(executor)),
      journal,
      onDataPlane,
      env,
    }),
  );
  watchNumbers(config, { measured, spool, breaker, tier, direct });
  await serveNumbers(config, link, measured, session, stack, env);
  const parts = stack.move();
  return { id: config.id, session, sandbox, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

function openTierOf({ cacheBytes: maxBytes }: AgentConfig, dir: string, { traits }: Sandbox, env: Env): LocalTier {
  return openTier({ dir: join(dir, 'tier'), maxBytes, guarded: traits.includes('isolatesFiles'), env });
}

function profileOf(config: AgentConfig, bootId: string, sandbox: Sandbox): AgentProfile {
  const host = detectHost();
  const cpuMillis = config.cpuMillis ?? host.cpuMillis;
  return {
    agentId: config.id,
    bootId,
    labels: { ...host.labels, ...config.labels },
    capacity: {
      cpuMillis,
      memoryBytes: config.memoryBytes ?? host.memoryBytes,
      slots: config.slots ?? Math.max(1, Math.floor(cpuMillis / 1000)),
      custom: config.custom,
    },
    sandbox: sandbox.traits,
    version: versionOf(),
    drainTimeoutMs: config.drainTimeoutMs,
  };
}

/**
 * Of blobs on their way to the data plane and from it, over all attempts: one attempt alone may hold half as much. What is read from the
 * bucket, and put there, has bounds of its own (`DirectSettings`, `UploadSettings`).
 */
const BLOBS_IN_MEMORY_BYTES = 64 * 1024 * 1024;
/** How long an attempt waits for a data plane: longer than a coordinator takes to be replaced or to be started again. */
const DATA_PATIENCE_MS = 5 * 60_000;

/** Attempts wait for a data plane that is down; meanwhile one call now and then finds out whether it is back. */
function storeBreaker(env: Env): Breaker {
  return openBreaker({
    dependency: 'store',
    code: 'STORE_UNAVAILABLE',
    clock: env.clock,
    prng: prngFrom(randomInt(2 ** 47)),
    rules: { openMs: { initial: 500, max: 5_000 } },
    onChange: ({ kind, lastFault, openForMs }) =>
      env.log[kind === 'open' ? 'warn' : 'info']('store-breaker', { state: kind, lastFault, openForMs }),
  });
}

type PlaneParts = {
  /** As to the coordinator, but for the address. */
  readonly link: Link;
  readonly grants: AttemptGrants;
  readonly breaker: Breaker;
  readonly direct: DirectFetcher;
  readonly env: Env;
};

/** The data plane of the coordinator that the agent is registered with. What began at an earlier one goes on at the next. */
function openPlane({
  link,
  grants,
  breaker,
  direct,
  env,
}: PlaneParts): AsyncDisposable & { readonly moveTo: (address: string) => void; readonly store: RunnerOptions['store'] } {
  let plane: MovableDataPlane | undefined;
  return {
    moveTo(address) {
      if (plane === undefined) {
        const guard = { breaker, whileOpen: 'wait' } as const;
        const room = new ByteBudget(BLOBS_IN_MEMORY_BYTES);
        plane = openDataPlane({ link: { ...link, address }, instanceName: '', env, patienceMs: DATA_PATIENCE_MS, guard, direct, room });
      } else plane.moveTo(address);
    },
    store: (instanceName, attempt, onStaged) => {
      const known = present(plane, 'offers come from a coordinator that named its data plane');
      return known.withGrant(instanceName, () => grants.of(attempt), onStaged).store;
    },
    [Symbol.asyncDispose]: async () => plane?.[Symbol.asyncDispose](),
  };
}

type Measured = {
  readonly measured: AgentMetrics;
  readonly spool: Spool;
  readonly breaker: Breaker;
  readonly tier: LocalTier;
  readonly direct: DirectFetcher;
};

function watchNumbers(config: AgentConfig, { measured, spool, breaker, tier, direct }: Measured): void {
  measured.watch({
    spoolBytes: () => spool.usedBytes,
    spoolBytesMax: config.spoolBytes,
    breakers: () => [breaker.view()],
    tierBytes: () => tier.usedBytes,
    tierBytesMax: config.cacheBytes,
    restores: tier.restores,
    direct,
  });
}

/** Over TLS by the certificate of the options, or by the one that the agent enrolled for. */
async function serveNumbers(
  config: AgentConfig,
  link: Link,
  measured: AgentMetrics,
  session: Session,
  stack: AsyncDisposableStack,
  env: Env,
) {
  if (config.metricsListen === undefined) return;
  const tls = enrols(config)
    ? link.tls && { source: withoutAuthorities(link.tls.source) }
    : stack.use(openServeTls({ ...config, zoneCa: [], callerCa: [] }, env.log));
  stack.use(await serveAgentHealth({ listen: config.metricsListen, tls }, measured, session, env));
}

/** How the coordinator is reached, and what is shown to it. @throws {Fault} CONFIG_INVALID; UNAUTHENTICATED, FORBIDDEN for the enrolment */
async function linkOf(
  config: AgentConfig,
  dir: string,
  client: IdentityClient,
  early: AbortSignal,
  stack: AsyncDisposableStack,
  env: Env,
): Promise<Link> {
  const { coordinator: address, enroll, enrollFile, tlsServerName: serverName, tlsCa } = config;
  if (!enrols(config)) {
    const source = stack.use(openDialTls(config, env.log));
    return { address, token: tokenOf(config), tls: source && { source, serverName } };
  }
  const kept = {
    path: join(dir, 'identity.pem'),
    agentId: config.id,
    token: enroll === undefined ? { file: enrollFile ?? '' } : { text: enroll },
    tlsCa,
    addresses: address.split(','),
    client,
    prng: prngFrom(randomInt(2 ** 47)),
    env,
  };
  const { source } = stack.use(await keepCertificate(kept, early));
  return { address, token: undefined, tls: { source, serverName } };
}

function enrols({ enroll, enrollFile }: AgentConfig): boolean {
  return enroll !== undefined || enrollFile !== undefined;
}

function tokenOf(config: AgentConfig): Secret | undefined {
  if (config.tokenFile === undefined) return config.token;
  try {
    return new Secret(readFileSync(config.tokenFile, 'utf8').trim());
  } catch (error) {
    throw wrap(error, `Reading the token file ${config.tokenFile}`);
  }
}

function versionOf(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof json === 'object' && json !== null && 'version' in json && typeof json.version === 'string' ? json.version : 'unknown';
}

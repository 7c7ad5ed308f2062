import { randomBytes, randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { exchangeable, tokenAuthenticator, type Authenticator, type Identity } from '../base/auth.ts';
import type { Env } from '../base/env.ts';
import type { Fault } from '../base/fault.ts';
import { grantKeyFrom, type GrantKey } from '../base/grant.ts';
import { json, serveHttpHealth, type HttpHealthOptions } from '../base/http-health.ts';
import { openTokenVerifier, withIssuedTokens, type TokenVerifier } from '../base/oidc/verifier.ts';
import { watchLoopLag } from '../base/loop-lag.ts';
import { prngFrom } from '../base/prng.ts';
import { exchangeableKeyring, keptKeyring, type Keyring } from '../base/signing.ts';
import type { ServerTls } from '../base/server-tls.ts';
import { openDialTls, openServeTls } from '../base/tls-options.ts';
import { hostNamed } from '../base/tls-source.ts';
import { vouchingBy, type Vouching } from '../base/vouch.ts';
import { watchForChange } from '../base/watch-file.ts';
import { parseFloors } from '../cache/quotas.ts';
import { openDataPlane, type DataPlane } from '../cache/rpc/client.ts';
import { openEntryClient, type EntryClient } from '../cache/rpc/entry-client.ts';
import { openGrantControl } from '../cache/rpc/grant-control.ts';
import { openGrants } from '../cache/rpc/grants.ts';
import { openRefusalFeed } from '../cache/rpc/refusal-feed.ts';
import { loadProto } from '../proto/load.ts';
import { Relay } from '../proto/relay.ts';
import { serve, type ServeOptions } from '../proto/serve.ts';
import type { DialTls } from '../proto/tls.ts';
import { openBreaker, type Breaker } from '../base/breaker.ts';
import { openArchive, type Archive } from './archive/archive.ts';
import { isLocalOnly, type CoordinatorConfig } from './config.ts';
import { startDataPlane, type DataPlaneProcess } from './data-plane.ts';
import { storeArgs } from './store-args.ts';
import { watchHealth, type Health, type Verdict } from './health.ts';
import { openMemoryIdentityStore } from './identity/memory-store.ts';
import { openIdentity, type IdentityParts } from './identity/open.ts';
import { openRedisIdentityStore } from './identity/redis-store.ts';
import { openSqliteIdentityStore } from './identity/sqlite-store.ts';
import type { IdentityStore } from './identity/store.ts';
import { openMemoryLedger } from './ledger/memory.ts';
import { openCoordinatorMetrics, type CoordinatorMetrics } from './metrics/metrics.ts';
import { redisDependency, whyAway } from './redis-dependency.ts';
import { ledgerRedisFrom } from './ledger/redis/config.ts';
import { openRedisLedger, type RedisLedgerState } from './ledger/redis/redis.ts';
import { openSqliteLedger } from './ledger/sqlite.ts';
import { openRoleMachine, type RoleLedger } from './role/role-machine.ts';
import type { RoleMachine } from './role/role.ts';
import { agentService } from './rpc/agent-service.ts';
import { buildService } from './rpc/build-service.ts';
import { openForwarder } from './rpc/forward.ts';
import { identityService } from './rpc/identity-service.ts';
import { reapiServices } from './rpc/reapi/execution-service.ts';
import { logStreamService } from './rpc/reapi/log-stream-service.ts';
import type { LedgerReads } from './rpc/reads.ts';
import { scalerService } from './rpc/scaler/scaler-service.ts';
import type { GrantSource } from './rpc/session-grants.ts';
import { openBuildReader } from './shell/build-reader.ts';
import { openHintFeed } from './shell/hint-feed.ts';
import { openInterest, startAbandoning, type Interest } from './shell/interest.ts';
import type { Lead } from './shell/leadership.ts';
import { DEFAULT_LOG_LIMITS, type LogLimits } from './shell/logs.ts';
import { startCanaries } from './shell/canaries.ts';
import { startRetention } from './shell/retention.ts';
import { startShell, type Shell } from './shell/shell.ts';
import { makePrivateDir, lockStateDir } from './state-dir.ts';
import { claimStore, sharedStoreOf } from './store-id.ts';
import { openTokens, type Tokens } from './tokens.ts';

/** A coordinator that takes builds and agents. Disposal ends it in order: callers, scheduling, ledger, data plane. */
export interface RunningCoordinator extends AsyncDisposable {
  /** Where callers and agents connect, host:port. */
  readonly address: string;
  /** Where others reach the data plane, host:port. */
  readonly dataAddress: string;
  /** Resolves when the coordinator cannot go on: with the fault, or undefined after disposal. The process then ends. */
  readonly ended: Promise<Fault | undefined>;
}

/** The term on a ledger that only this process has: it bounds how long that may fail to answer. */
const OWN_TERM_MS = 10_000;
const SIGN_OF_LIFE_MS = 20_000;
const RETENTION_EVERY_MS = 60_000;

/**
 * Starts ledger, data plane, scheduling and server; returns when everything answers: on a ledger of its own once it leads, on a
 * shared one once somebody is known to. What the ledger holds goes on where it was.
 * @throws {Fault} CONFIG_INVALID, LEDGER_UNAVAILABLE, PEER_UNAVAILABLE
 */
export async function startCoordinator(config: CoordinatorConfig, env: Env): Promise<RunningCoordinator> {
  await using stack = new AsyncDisposableStack();
  const version = await versionOf();
  const measured = stack.use(openCoordinatorMetrics({ clock: env.clock, version }));
  const ground = await startGround(config, stack, env);
  const { archive, data, tokens, plane, tls } = ground;
  const vouching = vouchingBy(ground.keyring);
  const authenticator = openAuthenticator(config, tokens, vouching, ground.verifier, stack, env);
  const interest = openInterest(env.clock);
  const ttlMs = ground.ledger.kind === 'shared' ? config.termTtl : OWN_TERM_MS;
  const logLimits: LogLimits = { ...DEFAULT_LOG_LIMITS, attemptBytesMax: config.logBytesMax, segmentBytes: config.logSegmentBytes };
  const roles = openRoleMachine({
    ledger: ground.ledger,
    ttlMs,
    env,
    seed: randomInt(2 ** 48 - 1),
    ...leading(config, ground, logLimits, measured, interest, env),
  });
  const dataAddress = config.dataAddress ?? plane.address;
  const storeFor = (instanceName: string) => data.withInstance(instanceName).store;
  const reads = readsOf(ground.ledger, storeFor, env);
  const breakers = () => [ground.breaker.view()];
  const redis = ground.ledger.redis;
  const now = () => env.clock.now();
  const redisNow = () => (redis === undefined ? undefined : redisDependency(redis(), now()));
  const dependencies = () => [...breakers(), ...[redisNow() ?? []].flat()];
  const forwarder = stack.use(openForwarder(now, () => whyAway(redisNow()), ground.peers, vouching));
  const floorOf = parseFloors(config.scopeZone);
  const common = { role: roles, dataAddress: () => dataAddress, storeFor, floorOf, verifier: ground.verifier, ...ground.identity, env };
  let address = config.address ?? config.listen;
  const services = [
    buildService({ ...common, dependencies, reads, forwarder, archive, address: () => address, version }),
    agentService({ ...common, logLimits, grants: ground.grants }),
    scalerService({ role: roles, relay: stack.use(new Relay(now, ground.peers, vouching)), env }),
    identityService(common),
    ...toolServices(config, { ...common, interest }, vouching, ground.peers, stack),
  ];
  const server = stack.use(await serve({ ...servingOf(config, measured), ...common, services, authenticator, tls }));
  address = config.address ?? server.address;
  plane.relayTo(dialledAddress(server.address));
  server.setReady(false);
  stack.use(roles);
  measured.watch({ roles, breakers, redis, dataPlanePid: () => plane.pid });
  const lag = stack.use(watchLoopLag({ clock: env.clock }));
  const health = stack.use(
    watchHealth({
      roles,
      ttlMs,
      store: data.withInstance('probe/probe').store,
      lag,
      redis: redisNow,
      clock: env.clock,
      onReady: server.setReady,
    }),
  );
  if (config.metricsListen !== undefined) stack.use(await serveNumbers({ listen: config.metricsListen, tls }, measured, health, env));
  stack.defer(() => server.setReady(false));
  roles.start({ id: `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`, address });
  await settled(roles, ground.ledger.kind === 'own' ? undefined : 2 * ttlMs);
  const parts = stack.move();
  return { address: server.address, dataAddress, ended: roles.ended, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** What build tools are served by the Remote Execution API. */
function toolServices(
  config: CoordinatorConfig,
  common: Pick<Parameters<typeof reapiServices>[0], 'role' | 'env' | 'storeFor' | 'interest'>,
  vouching: Vouching,
  peers: DialTls | undefined,
  stack: AsyncDisposableStack,
) {
  const { clock } = common.env;
  const reapi = {
    ...common,
    grants: openGrants(undefined, clock), // agents run actions, and send none
    relay: stack.use(new Relay(() => clock.now(), peers, vouching)),
    floorOf: parseFloors(config.scopeZone),
    ignored: new Set(config.ignoreProperty),
    noAgentMs: config.noAgentAfter,
  };
  return [...reapiServices(reapi), logStreamService(reapi)];
}

type NumbersAt = Pick<HttpHealthOptions, 'listen' | 'tls'>;

function serveNumbers(at: NumbersAt, { metrics }: CoordinatorMetrics, health: Health, env: Env): Promise<AsyncDisposable> {
  const numbers = async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() });
  const routes = { '/livez': () => answerOf(health.live()), '/readyz': () => answerOf(health.ready()), '/metrics': numbers };
  return serveHttpHealth({ ...at, routes, log: env.log });
}

/** Knows who calls by the tokens file as it is: a changed one is read again. */
function openAuthenticator(
  config: CoordinatorConfig,
  tokens: Tokens,
  vouching: Vouching,
  verifier: TokenVerifier | undefined,
  stack: AsyncDisposableStack,
  env: Env,
): Authenticator {
  const rules = { agentTokens: config.agentTokens, vouching };
  const local = isLocalOnly(config) && config.allowLocal ? localAdmin(config) : undefined;
  const authenticator = exchangeable(tokenAuthenticator(tokens.entries, local, rules));
  if (config.tokensFile !== undefined) {
    const reread = () => {
      tokens.reread().then(
        (entries) => {
          authenticator.exchange(tokenAuthenticator(entries, local, rules));
          env.log.info('tokens-reread', { path: config.tokensFile, entries: entries.length });
        },
        (error: unknown) => env.log.error('tokens-not-reread', { path: config.tokensFile, error }),
      );
    };
    stack.use(watchForChange(config.tokensFile, reread));
  }
  return verifier === undefined ? authenticator : withIssuedTokens(authenticator, verifier);
}

/** Returns when it is known who leads, or after `withinMs`. @throws {Fault} why this coordinator cannot go on */
async function settled(roles: RoleMachine, withinMs: number | undefined): Promise<void> {
  const over = new AbortController();
  const known = (async () => {
    for (;;) {
      const role = await roles.known(withinMs ?? OWN_TERM_MS, over.signal);
      if (withinMs !== undefined || role.kind === 'leading' || over.signal.aborted) return undefined;
    }
  })();
  const fault = await Promise.race([known, roles.ended]);
  over.abort();
  if (fault !== undefined) throw fault;
}

type OpenLedger = RoleLedger & {
  /** What coordinators on the ledger know together of identities. */
  readonly identities: IdentityStore;
  /** How its connections are, where it has some. */
  readonly redis: (() => RedisLedgerState) | undefined;
  /** Sees to it that all coordinators on the ledger use one directory of blobs. @throws {Fault} CONFIG_INVALID, LEDGER_UNAVAILABLE */
  readonly claim: (signal: AbortSignal) => Promise<void>;
};

/** What there is of a ledger of this process alone. */
const ALONE = { redis: undefined, claim: async () => {} } as const;

/** What a coordinator stands on, whatever its role. */
type Ground = {
  readonly ledger: OpenLedger;
  /** Of the data plane: while it is open, what needs blobs or results waits. */
  readonly breaker: Breaker;
  readonly plane: DataPlaneProcess;
  readonly data: DataPlane;
  readonly entries: EntryClient;
  readonly archive: Archive;
  readonly tokens: Tokens;
  readonly identity: IdentityParts;
  /** Takes the tokens of others, such as CI systems; undefined where nobody's count. */
  readonly verifier: TokenVerifier | undefined;
  readonly grants: GrantSource;
  /** The keys that all coordinators of the yard share. */
  readonly keyring: Keyring;
  /** What is shown to whoever connects; in clear where this is undefined. */
  readonly tls: ServerTls | undefined;
  /** How other coordinators are dialled; in clear where this is undefined. */
  readonly peers: DialTls | undefined;
};

async function startGround(config: CoordinatorConfig, stack: AsyncDisposableStack, env: Env): Promise<Ground> {
  const tls = stack.use(openServeTls(config, env.log));
  const stateDir = resolve(config.stateDir);
  const blobsDir = resolve(config.blobsDir ?? join(stateDir, 'blobs'));
  await makePrivateDir(stateDir);
  await makePrivateDir(blobsDir);
  const isShared = config.ledger === 'redis';
  if (isShared) stack.use(lockStateDir(stateDir));
  const localAgentsDir = isLocalOnly(config) ? (isShared ? blobsDir : stateDir) : undefined;
  const tokens = await openTokens({ stateDir, tokensFile: config.tokensFile, localAgentsDir });
  const signingKeyFile = resolve(config.signingKeyFile ?? join(blobsDir, 'signing-key.pem'));
  const keyring = exchangeableKeyring(keptKeyring(signingKeyFile));
  const key = rereadableGrantKey(signingKeyFile, keyring);
  const peers = dialTlsOf(config, stack, env);
  const ownName = ownNameOf(tls);
  const denialsFile = join(stateDir, 'denials.json');
  const planePlan = {
    listen: config.dataListen,
    args: dataPlaneArgs(config, { blobsDir, tokensFile: tokens.dataTokensFile, denialsFile, signingKeyFile, serverName: ownName }),
    prepare: async () => {
      key.reread(); // as the data plane is about to: the file may have been exchanged
      await tokens.writeDataTokens();
    },
    meanwhile: () => void loadProto(),
    env,
  };
  // Side by side: each takes a good part of the time to start.
  const starting = [openLedger(config, stateDir, blobsDir, stack, env), startDataPlane(planePlan)] as const;
  starting[1].then((started) => stack.use(started)).catch(() => {}); // below it is thrown
  await Promise.allSettled(starting);
  const [ledger, plane] = await Promise.all(starting);
  const verifier = config.issuersFile === undefined ? undefined : stack.use(openTokenVerifier(config.issuersFile, env));
  const identity = stack.use(await openIdentityOf(config, ledger.identities, denialsFile, env));
  const breaker = storeBreaker(env);
  const link = { address: dialledAddress(plane.address), token: tokens.service, tls: peers && { ...peers, serverName: ownName } };
  const data = stack.use(openDataPlane({ link, instanceName: '', env, guard: { breaker, whileOpen: 'refuse' } }));
  const cacheOf = (instanceName: string) => data.withInstance(instanceName);
  const archive = openArchive({ ledger: ledger.ledger, cacheOf, log: env.log });
  const control = stack.use(openGrantControl(link, env));
  const entries = stack.use(openEntryClient({ link, breaker }));
  const source = `data plane ${config.dataAddress ?? plane.address}`;
  stack.use(openRefusalFeed({ link, keep: (refusals) => identity.audit.take(refusals, source), env }));
  return { ledger, breaker, plane, data, entries, archive, tokens, identity, verifier, grants: { key, control }, keyring, tls, peers };
}

function openIdentityOf(config: CoordinatorConfig, store: IdentityStore, denialsFile: string, env: Env) {
  const { certificateLife: lifeMs, certificateGrace: graceMs, auditRecords } = config;
  const source = `coordinator ${config.address ?? config.listen}`;
  return openIdentity({ store, issuer: { ...config, lifeMs, graceMs }, denialsFile, auditRecords, source, env });
}

/** How processes of the yard are dialled, which know each other by tokens. @throws {Fault} CONFIG_INVALID */
function dialTlsOf({ tlsCa }: CoordinatorConfig, stack: AsyncDisposableStack, env: Env): DialTls | undefined {
  const source = stack.use(openDialTls({ tlsCa, tlsCert: undefined, tlsKey: undefined }, env.log));
  return source && { source };
}

/**
 * The name by which a process with our certificate is known, whatever address of this host it listens on: the data plane that we start,
 * and we to it. @throws {Fault} CONFIG_INVALID where the certificate names no host
 */
function ownNameOf(tls: ServerTls | undefined): string | undefined {
  const own = tls?.source.current().own;
  return own && hostNamed(own.cert);
}

/** Where a process of this host is dialled that listens there. */
function dialledAddress(listens: string): string {
  return listens.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::0?\]:/, '[::1]:');
}

/** Grants by the keys in the ring, which `reread` reads from the file again. @throws {Fault} CONFIG_INVALID */
function rereadableGrantKey(
  signingKeyFile: string,
  keyring: ReturnType<typeof exchangeableKeyring>,
): GrantKey & { readonly reread: () => void } {
  let key = grantKeyFrom(keyring);
  const reread = () => {
    keyring.exchange(keptKeyring(signingKeyFile));
    key = grantKeyFrom(keyring);
  };
  return { seal: (grant) => key.seal(grant), open: (text, now) => key.open(text, now), reread };
}

/** Callers are not kept waiting for a store that is down: steps that need it wait in the scheduler, others are told when to come back. */
function storeBreaker(env: Env): Breaker {
  return openBreaker({
    dependency: 'store',
    code: 'STORE_UNAVAILABLE',
    clock: env.clock,
    prng: prngFrom(randomInt(2 ** 48 - 1)),
    onChange: ({ kind, lastFault, openForMs }) =>
      env.log[kind === 'open' ? 'warn' : 'info']('store-breaker', { state: kind, lastFault, openForMs }),
  });
}

async function openLedger(
  config: CoordinatorConfig,
  stateDir: string,
  blobsDir: string,
  stack: AsyncDisposableStack,
  env: Env,
): Promise<OpenLedger> {
  if (config.ledger === 'memory') {
    const ledger = stack.use(openMemoryLedger({ clock: env.clock }));
    return { kind: 'own', ledger, identities: openMemoryIdentityStore(), ...ALONE };
  }
  if (config.ledger === 'sqlite') {
    const synchronous = config.synchronous === 'full' ? 'FULL' : 'NORMAL';
    return {
      kind: 'own',
      ledger: stack.use(await openSqliteLedger({ path: join(stateDir, 'ledger.sqlite'), synchronous, env })),
      identities: stack.use(openSqliteIdentityStore(join(stateDir, 'identity.sqlite'))),
      ...ALONE,
    };
  }
  const redis = ledgerRedisFrom(config);
  const ledger = stack.use(await openRedisLedger({ config: redis, env }));
  const identities = stack.use(openRedisIdentityStore(redis, () => ledger.waitsForDisk(), env));
  const claim = (signal: AbortSignal) => claimStore(ledger, sharedStoreOf(config, blobsDir), signal);
  await claim(new AbortController().signal);
  return { kind: 'shared', ledger, identities, hints: stack.use(openHintFeed(ledger, env.log)), redis: () => ledger.state(), claim };
}

/** What a coordinator does once it leads. */
function leading(
  config: CoordinatorConfig,
  { ledger: { ledger, claim }, data, entries, archive, identity }: Ground,
  logLimits: LogLimits,
  measured: CoordinatorMetrics,
  interest: Interest,
  env: Env,
) {
  const timings = { leaseTtlMs: config.leaseTtl, heartbeatMs: config.heartbeat, offerTtlMs: config.offerTtl };
  return {
    startShell: async (lead: Lead, signal: AbortSignal): Promise<Shell> => {
      await claim(signal); // a ledger that was emptied knows the store no more
      const common = {
        ledger,
        term: lead.term,
        holds: () => lead.holds(),
        signal,
        data,
        entries,
        staging: (asked: AbortSignal) => entries.staging(asked),
        timings,
        logLimits,
        env,
      };
      const startedAt = env.clock.monotonic();
      const floorOf = parseFloors(config.scopeZone);
      const shell = await startShell({
        ...common,
        audit: identity.audit,
        floorOf,
        signOfLifeMs: SIGN_OF_LIFE_MS,
        measures: measured.measures,
      });
      measured.tookOver(lead.term.counter, env.clock.monotonic() - startedAt);
      return shell;
    },
    beside: ({ core, driver }: Shell) => {
      const stack = new AsyncDisposableStack();
      stack.use(startAbandoning({ core, driver, interest, abandonMs: config.abandonAfter, clock: env.clock }));
      stack.use(startCanaries({ core, driver, storeOf: (name) => data.withInstance(name).store, env }));
      stack.use(startRetention({ core, driver, archive, env, ...retentionOf(config), everyMs: RETENTION_EVERY_MS }));
      return stack;
    },
  };
}

function readsOf(ledger: RoleLedger, storeFor: LedgerReads['storeFor'], env: Env): LedgerReads | undefined {
  if (ledger.kind === 'own') return undefined;
  const { clock } = env;
  const reader = openBuildReader(ledger.ledger, () => clock.monotonic());
  return { ledger: ledger.ledger, reader, hints: ledger.hints, storeFor, signOfLifeMs: SIGN_OF_LIFE_MS, clock };
}

function answerOf(verdict: Verdict) {
  return json(verdict.ok ? 200 : 503, verdict);
}

/** Whoever connects from this host without a token, where nobody else can connect at all. */
function localAdmin(config: CoordinatorConfig): Identity {
  const { localProject: project, localScope: scope } = config;
  return { kind: 'caller', caller: { name: 'local', role: 'admin', project, scope, zoneCeiling: 'trusted' } };
}

type DataPlaneFiles = {
  readonly blobsDir: string;
  readonly tokensFile: string;
  readonly denialsFile: string;
  readonly signingKeyFile: string;
  readonly serverName: string | undefined;
};

function dataPlaneArgs(config: CoordinatorConfig, files: DataPlaneFiles): readonly string[] {
  const local = isLocalOnly(config) && config.allowLocal;
  return [
    ...['--dir', files.blobsDir, '--max-bytes', String(config.cacheBytes), '--log-level', config.logLevel],
    ...['--tokens-file', files.tokensFile, '--signing-key-file', files.signingKeyFile, '--denials-file', files.denialsFile],
    ...(config.listen.endsWith(':0') ? [] : ['--coordinator', dialledAddress(config.listen)]), // it is told of one that is found later
    ...tlsArgs(config, files.serverName),
    ...config.scopeQuota.flatMap((quota) => ['--scope-quota', quota]),
    ...config.scopeZone.flatMap((zone) => ['--scope-zone', zone]),
    ...['--keep-unused', `${config.keepUnused}ms`],
    ...['--processes', String(config.dataProcesses)],
    ...(config.dataMetricsListen === undefined ? [] : ['--metrics-listen', config.dataMetricsListen]),
    ...storeArgs(config),
    ...(config.dataHttpListen === undefined ? [] : ['--http-listen', config.dataHttpListen]),
    ...(local ? ['--allow-local', '--local-project', config.localProject, '--local-scope', config.localScope] : []),
  ];
}

function tlsArgs(config: CoordinatorConfig, serverName: string | undefined): readonly string[] {
  const given = (flag: string, value: string | undefined) => (value === undefined ? [] : [flag, value]);
  return [
    ...[...given('--tls-cert', config.tlsCert), ...given('--tls-key', config.tlsKey), ...given('--tls-ca', config.tlsCa)],
    ...given('--tls-server-name', serverName),
    ...config.zoneCa.flatMap((word) => ['--zone-ca', word]),
    ...config.callerCa.flatMap((word) => ['--caller-ca', word]),
    ...(config.agentTokens ? ['--agent-tokens'] : []),
    ...given('--issuers-file', config.issuersFile),
    ...(config.insecure ? ['--insecure'] : []),
  ];
}

async function versionOf(): Promise<string> {
  const json: unknown = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof json === 'object' && json !== null && 'version' in json && typeof json.version === 'string' ? json.version : 'unknown';
}

function retentionOf(config: CoordinatorConfig) {
  const { retention: keepMs, retentionCount: keepCount, retentionSteps: keepSteps, retentionCountMax: hardCount } = config;
  return { keepMs, keepCount, keepSteps, hardCount, operationKeepMs: config.operationRetention };
}

function servingOf(
  { listen, drain }: CoordinatorConfig,
  { connections }: CoordinatorMetrics,
): Pick<ServeOptions, 'listen' | 'drainMs' | 'connections'> {
  return { listen, drainMs: drain, connections };
}

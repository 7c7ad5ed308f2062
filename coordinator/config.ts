import { parseOptions, type Environment, type Options, type OptionTable } from '../base/options.ts';
import { hostOf, isLoopback } from '../base/address.ts';
import { isProject, isScope } from '../base/caller.ts';
import { Fault } from '../base/fault.ts';
import { LOG_OPTIONS } from '../base/log.ts';
import { parseZoneCas } from '../base/server-tls.ts';
import { DIAL_TLS_OPTIONS, SERVE_TLS_OPTIONS, serveTlsProblems } from '../base/tls-options.ts';
import { parseFloors, parseQuotas, SCOPE_OPTIONS } from '../cache/quotas.ts';
import { LEDGER_REDIS_OPTIONS } from './ledger/redis/config.ts';
import { DATA_STORE_OPTIONS } from './store-args.ts';
import { isBucketShared } from './store-id.ts';

/** Every option of `switchyard coordinator`. */
export const COORDINATOR_OPTIONS = {
  program: 'coordinator',
  prefix: 'SWITCHYARD_COORDINATOR_',
  about: 'Schedules builds onto agents, keeps the ledger, and runs the data plane beside it.',
  options: {
    listen: { type: 'string', default: '127.0.0.1:7410', help: 'Address for callers and agents, host:port; port 0 takes a free one.' },
    dataListen: { type: 'string', default: '127.0.0.1:7411', help: 'Address of the data plane, host:port; port 0 takes a free one.' },
    dataAddress: { type: 'string', help: 'Address under which others reach the data plane, where that is not the one it listens on.' },
    address: {
      type: 'string',
      help: 'Address under which agents and other coordinators reach this one, host:port, where that is not the one it listens on.',
    },
    stateDir: { type: 'path', default: '.switchyard/coordinator', help: 'Directory for ledger, blobs and tokens; made with mode 0700.' },
    blobsDir: {
      type: 'path',
      help:
        'Directory for blobs and action results, where that is not <state dir>/blobs. Coordinators on one Redis share it, unless they share ' +
        'a bucket and its index.',
    },
    ledger: {
      type: 'choice',
      choices: ['sqlite', 'redis', 'memory'],
      default: 'sqlite',
      help:
        'Where builds are kept: in a file of the state directory; in a Redis that several coordinators share, of which one leads; ' +
        'or in memory, which forgets them when the process ends.',
    },
    ...LEDGER_REDIS_OPTIONS,
    termTtl: {
      type: 'duration',
      default: '3s',
      min: 500,
      max: 60_000,
      help: 'How long a coordinator on a shared ledger leads without renewing its term; another one takes over after it.',
    },
    synchronous: {
      type: 'choice',
      choices: ['full', 'normal'],
      default: 'full',
      help: 'full: what was accepted survives loss of power; normal: only the end of the process, and commits are faster.',
    },
    tokensFile: { type: 'path', help: 'JSON file of hashed tokens of callers, agents and services.' },
    ...SERVE_TLS_OPTIONS,
    tlsCa: DIAL_TLS_OPTIONS.tlsCa,
    zoneCaKey: {
      type: 'list',
      help:
        'The key of the authority of a zone, as ZONE=FILE of PEM; may be repeated. Agents of the zone that bring an enrolment token, and ' +
        'those that renew, get their certificates from this coordinator.',
    },
    certificateLife: {
      type: 'duration',
      default: '1h',
      min: 10_000,
      max: 2_592_000_000,
      help: "How long an agent's certificate counts; the agent has the next one at half of it.",
    },
    certificateGrace: {
      type: 'duration',
      default: '24h',
      min: 0,
      max: 2_592_000_000,
      help: 'How long after its end the key of a certificate does for another, so that an agent that was away comes back by itself.',
    },
    trustDomain: { type: 'string', default: 'switchyard', help: "The trust domain in the names of agents' certificates." },
    auditRecords: {
      type: 'int',
      default: '20000',
      min: 100,
      max: 1_000_000,
      help: 'How many records are kept of what was done, and as many of what was refused; "switchyard audit list" shows them.',
    },
    signingKeyFile: {
      type: 'path',
      help:
        'PEM file of the keys that sign cache entries and grants, where that is not <blobs dir>/signing-key.pem; made where there is none. ' +
        'Coordinators on one Redis and their data planes share it.',
    },
    allowLocal: {
      type: 'boolean',
      default: 'true',
      help: 'Whether a connection without a token is the local administrator, where both addresses are on loopback.',
    },
    localProject: { type: 'string', default: 'local', help: 'Project of the local administrator.' },
    localScope: { type: 'string', default: 'main', help: 'Cache scope of the local administrator.' },
    ...SCOPE_OPTIONS,
    cacheBytes: {
      type: 'size',
      default: '20Gi',
      min: 1_048_576,
      help: 'Most bytes that the data plane keeps on disk; the least used go first.',
    },
    ...DATA_STORE_OPTIONS,
    leaseTtl: { type: 'duration', default: '15s', min: 1_000, max: 600_000, help: 'How long a lease lasts without a heartbeat.' },
    heartbeat: {
      type: 'duration',
      default: '5s',
      min: 200,
      max: 200_000,
      help: 'Time between the heartbeats of an agent; at most a third of the lease.',
    },
    offerTtl: { type: 'duration', default: '2s', min: 100, max: 60_000, help: 'How long an agent may take to accept an offer.' },
    logBytesMax: {
      type: 'size',
      default: '64Mi',
      min: 4_096,
      help: 'Longest log of one attempt; what is longer is cut, with a mark at its end.',
    },
    logSegmentBytes: {
      type: 'size',
      default: '1Mi',
      min: 4_096,
      max: 67_108_864,
      help: 'Size at which a part of a running log moves from the ledger to the store.',
    },
    retention: {
      type: 'duration',
      default: '168h',
      min: 0,
      help: 'How long a build stays in the ledger after it has ended; then it goes to the archive in the blob store.',
    },
    retentionCount: { type: 'int', default: '10000', min: 1, help: 'How many ended builds stay in the ledger at most.' },
    retentionSteps: { type: 'int', default: '500000', min: 1, help: 'How many steps of ended builds stay in the ledger at most.' },
    retentionCountMax: {
      type: 'int',
      default: '20000',
      min: 1,
      help: 'How many ended builds stay in the ledger at most while the archive takes none; the oldest are then given up.',
    },
    abandonAfter: {
      type: 'duration',
      default: '60s',
      min: 1_000,
      help: "How long a build tool's action goes on that nobody waits for; then it is cancelled.",
    },
    noAgentAfter: {
      type: 'duration',
      default: '2m',
      min: 0,
      help: "How long a build tool's action waits for an agent of its kind to appear where there is none; then it is refused.",
    },
    operationRetention: {
      type: 'duration',
      default: '10m',
      min: 1_000,
      help: "How long a build tool's operation stays known after its end. Its result stays in the cache.",
    },
    ignoreProperty: {
      type: 'list',
      help: 'Name of a platform property of actions that is left out of account, such as container-image. Unknown ones are refused otherwise.',
    },
    drain: { type: 'duration', default: '2s', min: 0, max: 600_000, help: 'How long calls may go on after the process was told to stop.' },
    metricsListen: {
      type: 'string',
      help: 'Address for probes and metrics over HTTP, host:port: /livez, /readyz and /metrics. Nothing listens without it.',
    },
    dataHttpListen: {
      type: 'string',
      help:
        'Address for the HTTP caches of Bazel, Turborepo, Nx, Gradle and ccache, host:port, which the data plane serves; the tokens are ' +
        'those of callers. Nothing listens without it.',
    },
    dataProcesses: {
      type: 'int',
      default: '1',
      min: 1,
      max: 64,
      help:
        'Processes of the data plane, which share its ports: more where one keeps a core busy and the host has others. Only for blobs in ' +
        'files.',
    },
    dataMetricsListen: {
      type: 'string',
      help: 'Address for probes and metrics of the data plane: of blobs, packs, entries, garbage collection. Nothing listens without it.',
    },
    exitWithParent: {
      type: 'boolean',
      default: 'false',
      help: 'Whether to stop when standard input ends, so as not to outlive who started it.',
    },
    ...LOG_OPTIONS,
  },
} as const satisfies OptionTable;

export type CoordinatorConfig = Options<typeof COORDINATOR_OPTIONS>;

/**
 * The configuration, checked as a whole.
 * @throws {Fault} CONFIG_INVALID listing every problem; also where it would listen for others without tokens.
 */
export function parseCoordinatorConfig(env: Environment, argv: readonly string[]): CoordinatorConfig {
  const config = parseOptions(COORDINATOR_OPTIONS, env, argv);
  const problems = [
    ...addressProblems('--listen', config.listen, config),
    ...addressProblems('--data-listen', config.dataListen, config),
    ...(config.dataHttpListen === undefined ? [] : addressProblems('--data-http-listen', config.dataHttpListen, config)),
    ...(config.heartbeat * 3 > config.leaseTtl
      ? [`--heartbeat is ${config.heartbeat} ms, but must be at most a third of --lease-ttl, ${config.leaseTtl} ms`]
      : []),
    ...(config.retentionCountMax < config.retentionCount
      ? [`--retention-count-max is ${config.retentionCountMax}, but must be at least --retention-count, ${config.retentionCount}`]
      : []),
    ...(config.dataProcesses > 1 && config.store === 's3'
      ? ['--data-processes must be 1 with --store s3: start more coordinators instead, each of which has a data plane']
      : []),
    ...tlsProblems(config),
    ...nameProblems(config),
    ...scopeProblems(config),
    ...sharingProblems(config),
  ];
  if (problems.length > 0) {
    throw new Fault('CONFIG_INVALID', `switchyard coordinator cannot start:\n${problems.map((problem) => `  ${problem}`).join('\n')}`, {
      hint: '"switchyard coordinator --help" lists all options.',
    });
  }
  return config;
}

/** Whether only this host can connect: then a connection without a token may count as local. */
export function isLocalOnly(config: Pick<CoordinatorConfig, 'listen' | 'dataListen' | 'dataHttpListen'>): boolean {
  return [config.listen, config.dataListen, config.dataHttpListen].every((address) => address === undefined || isLoopback(address));
}

function addressProblems(flag: string, address: string, config: CoordinatorConfig): readonly string[] {
  if (hostOf(address) === undefined) return [`${flag} must be host:port, got "${address}"`];
  if (isLoopback(address) || config.tokensFile !== undefined) return [];
  return [`${flag} is ${address}, which others can reach: give --tokens-file, or listen on 127.0.0.1`];
}

function tlsProblems(config: CoordinatorConfig): readonly string[] {
  const listens = {
    '--listen': config.listen,
    '--data-listen': config.dataListen,
    '--data-http-listen': config.dataHttpListen,
    '--metrics-listen': config.metricsListen,
    '--data-metrics-listen': config.dataMetricsListen,
  };
  const problems = [...serveTlsProblems(config, listens), ...issuerProblems(config)];
  if (config.tlsCert === undefined || config.tlsCa !== undefined) return problems;
  return [...problems, '--tls-ca is required with --tls-cert: the authority by which its data plane and other coordinators are known'];
}

function issuerProblems({ zoneCa, zoneCaKey, trustDomain }: CoordinatorConfig): readonly string[] {
  const problems = /^[a-z0-9._-]{1,255}$/.test(trustDomain) ? [] : ['--trust-domain must be 1 to 255 of a-z, 0-9, ".", "_" and "-"'];
  try {
    const known = new Set(parseZoneCas(zoneCa).map(({ zone }) => zone));
    for (const { zone } of parseZoneCas(zoneCaKey, '--zone-ca-key'))
      if (!known.has(zone)) problems.push(`--zone-ca-key names the zone ${zone}: give --zone-ca ${zone}=FILE with its certificate`);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  return problems;
}

/** What coordinators that share a ledger need to be told. */
function sharingProblems(config: CoordinatorConfig): readonly string[] {
  const problems: string[] = [];
  if (config.address !== undefined && (hostOf(config.address) === undefined || isWildcard(config.address)))
    problems.push(`--address must be host:port as others reach it, got "${config.address}"`);
  if (config.metricsListen !== undefined && hostOf(config.metricsListen) === undefined)
    problems.push(`--metrics-listen must be host:port, got "${config.metricsListen}"`);
  if (config.dataMetricsListen !== undefined && hostOf(config.dataMetricsListen) === undefined)
    problems.push(`--data-metrics-listen must be host:port, got "${config.dataMetricsListen}"`);
  if (config.dataAddress === undefined && isWildcard(config.dataListen))
    problems.push(
      `--data-address is required where --data-listen is ${config.dataListen}: others must be told where to reach the data plane`,
    );
  if (config.ledger !== 'redis') {
    if (config.redisUrl !== undefined) problems.push('--redis-url is given, but --ledger is not redis');
    return problems;
  }
  if (config.redisUrl === undefined) problems.push('--redis-url is required with --ledger redis');
  if (config.blobsDir === undefined && !isBucketShared(config)) {
    problems.push(
      '--blobs-dir is required with --ledger redis: a directory that all coordinators on that Redis share, unless they share a bucket ' +
        '(--store s3 --store-index redis)',
    );
  }
  if (config.signingKeyFile === undefined && config.blobsDir === undefined && isBucketShared(config))
    problems.push('--signing-key-file is required with --ledger redis where --blobs-dir is not given: all coordinators need the same key');
  if (config.address === undefined && isWildcard(config.listen))
    problems.push(`--address is required where --listen is ${config.listen}: others must be told where to reach this coordinator`);
  return problems;
}

/** Whether it stands for every address of the host, and so for none that others could dial. */
function isWildcard(address: string): boolean {
  return /^(0\.0\.0\.0|\[::\]|\[::0\]|\*)$/.test(hostOf(address) ?? '');
}

function scopeProblems({ scopeQuota, scopeZone }: CoordinatorConfig): readonly string[] {
  return [() => parseQuotas(scopeQuota), () => parseFloors(scopeZone)].flatMap((parse) => {
    try {
      parse();
      return [];
    } catch (error) {
      return [error instanceof Fault ? error.message : String(error)];
    }
  });
}

function nameProblems(config: CoordinatorConfig): readonly string[] {
  const problems: string[] = [];
  if (!isProject(config.localProject)) problems.push('--local-project must be 1 to 63 letters, digits, ".", "_" or "-"');
  if (!isScope(config.localScope)) problems.push('--local-scope must be a path such as main or main/pr-7');
  return problems;
}

import { isProject, isScope } from '../base/caller.ts';
import { Fault } from '../base/fault.ts';
import { LOG_OPTIONS } from '../base/log.ts';
import { parseOptions, type Environment, type Options, type OptionTable } from '../base/options.ts';
import { REDIS_OPTIONS } from '../base/redis/config.ts';
import { DIAL_TLS_OPTIONS, dialTlsProblems, SERVE_TLS_OPTIONS, serveTlsProblems } from '../base/tls-options.ts';
import { parseFloors, parseQuotas, SCOPE_OPTIONS } from './quotas.ts';
import { STORE_OPTIONS } from './store-options.ts';

/** The options of the data plane's process. */
export const CACHE_OPTIONS = {
  program: 'cache',
  prefix: 'SWITCHYARD_CACHE_',
  about: 'Keeps blobs and action results on disk and serves them over the Remote Execution API. A coordinator starts it by itself.',
  options: {
    listen: { type: 'string', default: '127.0.0.1:7411', help: 'Address to listen on, host:port; port 0 takes a free one.' },
    httpListen: {
      type: 'string',
      help:
        'Address for the HTTP caches of Bazel, Turborepo, Nx, Gradle and ccache, host:port; the tokens are those of callers. Nothing ' +
        'listens without it.',
    },
    httpBodyBytes: { type: 'size', default: '2Gi', min: 65_536, help: 'Largest body that is taken over HTTP.' },
    processes: {
      type: 'int',
      default: '1',
      min: 1,
      max: 64,
      help:
        'Processes that share the ports, each connection served by one of them: more where one keeps a core busy and the host has others. ' +
        'Only for blobs in files; data planes on one bucket are started one by one.',
    },
    dir: {
      type: 'path',
      default: '.switchyard/blobs',
      help: 'Where blobs and action results are kept, or with --store s3 the local tier. Several processes may share it.',
    },
    maxBytes: { type: 'size', default: '20Gi', min: 65_536, help: 'Most bytes of blobs; what was used least goes first.' },
    maxResultBytes: { type: 'size', default: '512Mi', min: 65_536, help: 'Most bytes of action results; what was used least goes first.' },
    durability: {
      type: 'choice',
      choices: ['process', 'power'],
      default: 'process',
      help: 'What an answered upload survives: the end of the process, or loss of power too (two disk flushes a blob).',
    },
    ...STORE_OPTIONS,
    ...REDIS_OPTIONS,
    ...SCOPE_OPTIONS,
    coordinator: {
      type: 'string',
      help: 'Address of a coordinator, host:port, to which actions are handed on that build tools want run; the one that starts it names itself.',
    },
    tokensFile: { type: 'path', help: 'Who may connect: a JSON file of token hashes.' },
    denialsFile: {
      type: 'path',
      help: 'Who is refused, whatever it shows: a JSON file that the coordinator writes. Read again when it changes; none is an empty one.',
    },
    signingKeyFile: {
      type: 'path',
      help:
        'PEM file of the keys that sign cache entries and grants, the same as the coordinators of the yard have; made where there is none. ' +
        'The first key signs, all verify. Without the option entries are signed by a key in --dir, and agents are refused.',
    },
    ...SERVE_TLS_OPTIONS,
    ...DIAL_TLS_OPTIONS,
    allowLocal: { type: 'boolean', default: 'false', help: 'Whether a connection from loopback without a token is the local caller.' },
    localProject: { type: 'string', default: 'local', help: 'Project of the local caller.' },
    localScope: { type: 'string', default: 'main', help: 'Cache scope of the local caller.' },
    metricsListen: {
      type: 'string',
      help: 'Address for probes and metrics over HTTP, host:port: /livez, /readyz and /metrics. Nothing listens without it.',
    },
    ...LOG_OPTIONS,
  },
} as const satisfies OptionTable;

export type CacheConfig = Options<typeof CACHE_OPTIONS>;

/** @throws {Fault} CONFIG_INVALID listing every problem. */
export function parseCacheConfig(environment: Environment, argv: readonly string[]): CacheConfig {
  const config = parseOptions(CACHE_OPTIONS, environment, argv);
  if (!isProject(config.localProject)) throw invalid('--local-project', 'must be 1 to 63 letters, digits, ".", "_" or "-"');
  if (!isScope(config.localScope)) throw invalid('--local-scope', 'must be a path such as main or main/pr-7');
  if (config.processes > 1 && config.store === 's3') {
    throw invalid('--processes', 'must be 1 with --store s3: start more data planes instead, each with a --dir and a port of its own');
  }
  const listens = { '--listen': config.listen, '--http-listen': config.httpListen, '--metrics-listen': config.metricsListen };
  const problems = [...serveTlsProblems(config, listens), ...dialTlsProblems(config, { '--coordinator': config.coordinator })];
  if (problems.length > 0)
    throw new Fault('CONFIG_INVALID', `switchyard cache cannot start:\n${problems.map((one) => `  ${one}`).join('\n')}`);
  parseQuotas(config.scopeQuota);
  parseFloors(config.scopeZone);
  return config;
}

function invalid(option: string, fix: string): Fault {
  return new Fault('CONFIG_INVALID', `${option} ${fix}`, { field: option });
}

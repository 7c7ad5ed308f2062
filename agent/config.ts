import { hostname } from 'node:os';
import { hostOf } from '../base/address.ts';
import { Fault } from '../base/fault.ts';
import { TRUSTED_LABELS, type Labels } from '../base/labels.ts';
import { LOG_OPTIONS, type LogLevel } from '../base/log.ts';
import { parseOptions, type Environment, type OptionTable } from '../base/options.ts';
import { parseCpuMillis } from '../base/quantity.ts';
import type { Secret } from '../base/secret.ts';
import { DIAL_TLS_OPTIONS, dialTlsProblems, OWN_TLS_OPTIONS, serveTlsProblems } from '../base/tls-options.ts';

/** The options of an agent's process. */
export const AGENT_OPTIONS = {
  program: 'agent',
  prefix: 'SWITCHYARD_AGENT_',
  about: 'Runs steps for a coordinator, to which it dials out.',
  options: {
    coordinator: {
      type: 'string',
      default: '127.0.0.1:7410',
      help: 'Where the coordinator listens (host:port). Several with commas between them: the agent finds the one that leads.',
    },
    token: { type: 'secret', help: 'The token that says what this agent is: its cluster, pool and zone.' },
    tokenFile: {
      type: 'path',
      help: 'A file with the token, in its place. A coordinator on loopback keeps one as agent-token in its state directory.',
    },
    ...DIAL_TLS_OPTIONS,
    ...OWN_TLS_OPTIONS,
    enroll: {
      type: 'string',
      help:
        'An enrolment token of "switchyard cluster join". With it the agent makes a key, gets a certificate from the coordinator, keeps both ' +
        'in its work directory and renews the certificate by itself. It is used once, so the option may stay when the agent starts again.',
    },
    enrollFile: {
      type: 'path',
      help: 'A file with the token, in its place; also of a token of a platform, such as a projected service-account token of Kubernetes.',
    },
    insecure: {
      type: 'boolean',
      default: 'false',
      help: 'Whether to dial another host, or to listen for others, in clear: whoever sees the network can then read tokens and bytes.',
    },
    id: { type: 'string', help: 'Stable name of the agent: letters, digits, "." and "-". The host name where it is absent.' },
    label: { type: 'list', help: 'A label as key=value, for steps to select by; may be repeated. os and arch are always there.' },
    workDir: {
      type: 'path',
      default: '.switchyard/agent',
      help: 'Where the agent keeps its spool, cache and workspaces. One agent uses it at a time.',
    },
    slots: { type: 'int', min: 1, max: 1024, help: 'Steps at once. One for each core where it is absent.' },
    cpu: { type: 'string', help: 'Cores for steps, such as 4 or 1500m. What the host or its control group has where it is absent.' },
    memory: { type: 'size', min: 1, help: 'Memory for steps. What the host or its control group has where it is absent.' },
    resource: { type: 'list', help: 'Another countable thing as name=count, such as gpu=1; may be repeated.' },
    sandbox: {
      type: 'choice',
      choices: ['auto', 'bubblewrap', 'process'],
      default: 'auto',
      help: 'What steps run in: auto takes bubblewrap where it works, else process.',
    },
    sandboxPath: { type: 'list', help: 'A directory of the host that steps may read, beside the system directories; may be repeated.' },
    cacheSize: { type: 'size', default: '10Gi', min: 0, help: 'Most bytes of the local tier of inputs.' },
    spoolSize: {
      type: 'size',
      default: '1Gi',
      min: 1048576,
      help: 'Most bytes of logs that wait for the coordinator; longer ones are cut.',
    },
    drainTimeout: { type: 'duration', default: '10m', help: 'How long steps may go on after SIGTERM; a second signal stops them at once.' },
    metricsListen: {
      type: 'string',
      help: 'Address for probes and metrics over HTTP, host:port: /livez, /readyz and /metrics. Nothing listens without it.',
    },
    exitWithParent: {
      type: 'boolean',
      default: 'false',
      help: 'Stop when standard input is closed, for agents that another process starts.',
    },
    ...LOG_OPTIONS,
  },
} as const satisfies OptionTable;

/** How an agent is set up; absent figures are found out from the host. */
export type AgentConfig = {
  /** Addresses with commas between them. */
  readonly coordinator: string;
  readonly token: Secret | undefined;
  readonly tokenFile: string | undefined;
  readonly tlsCa: string | undefined;
  readonly tlsServerName: string | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly enroll: string | undefined;
  readonly enrollFile: string | undefined;
  readonly id: string;
  readonly labels: Labels;
  readonly workDir: string;
  readonly slots: number | undefined;
  readonly cpuMillis: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly custom: Readonly<Record<string, number>>;
  readonly sandbox: 'auto' | 'bubblewrap' | 'process';
  readonly sandboxPaths: readonly string[];
  readonly cacheBytes: number;
  readonly spoolBytes: number;
  readonly drainTimeoutMs: number;
  /** host:port for probes and metrics over HTTP. */
  readonly metricsListen: string | undefined;
  readonly exitWithParent: boolean;
  readonly logLevel: LogLevel;
};

const AGENT_ID = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;
const LABEL_KEY = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;
const RESOURCE_NAME = /^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/;

/** The configuration that `argv` (without program names) and `env` give. @throws {Fault} CONFIG_INVALID naming what is wrong. */
export function parseAgentConfig(env: Environment, argv: readonly string[]): AgentConfig {
  const options = parseOptions(AGENT_OPTIONS, env, argv);
  const id =
    options.id ??
    hostname()
      .toLowerCase()
      .replaceAll(/[^a-z0-9.-]/g, '-');
  if (!AGENT_ID.test(id)) throw bad('--id', `"${id}" must be 1 to 63 of a-z, 0-9, "." and "-", and begin and end with a letter or digit`);
  if (options.token !== undefined && options.tokenFile !== undefined)
    throw bad('--token-file', 'goes without SWITCHYARD_AGENT_TOKEN: give one of the two');
  if (options.metricsListen !== undefined && hostOf(options.metricsListen) === undefined)
    throw bad('--metrics-listen', `must be host:port, got "${options.metricsListen}"`);
  const coordinator = parseCoordinators(options.coordinator);
  const enrols = options.enroll !== undefined || options.enrollFile !== undefined;
  const [problem] = [
    ...enrolProblems(options),
    ...(enrols ? [] : dialTlsProblems(options, { '--coordinator': coordinator })), // the token says how the coordinator is known
    // An agent that enrols has a certificate by then, and shows it there.
    ...serveTlsProblems({ ...options, zoneCa: [], callerCa: [] }, enrols ? {} : { '--metrics-listen': options.metricsListen }),
  ];
  if (problem !== undefined) throw new Fault('CONFIG_INVALID', problem);
  return {
    coordinator,
    token: options.token,
    tokenFile: options.tokenFile,
    tlsCa: options.tlsCa,
    tlsServerName: options.tlsServerName,
    tlsCert: options.tlsCert,
    tlsKey: options.tlsKey,
    enroll: options.enroll,
    enrollFile: options.enrollFile,
    id,
    labels: parseLabels(options.label),
    workDir: options.workDir,
    slots: options.slots,
    cpuMillis: options.cpu === undefined ? undefined : cpuOf(options.cpu),
    memoryBytes: options.memory,
    custom: parseResources(options.resource),
    sandbox: options.sandbox,
    sandboxPaths: options.sandboxPath,
    cacheBytes: options.cacheSize,
    spoolBytes: options.spoolSize,
    drainTimeoutMs: options.drainTimeout,
    metricsListen: options.metricsListen,
    exitWithParent: options.exitWithParent,
    logLevel: options.logLevel,
  };
}

function enrolProblems({
  enroll,
  enrollFile,
  tlsCert,
  token,
  tokenFile,
}: Pick<AgentConfig, 'enroll' | 'enrollFile' | 'tlsCert' | 'token' | 'tokenFile'>): readonly string[] {
  if (enroll === undefined && enrollFile === undefined) return [];
  if (enroll !== undefined && enrollFile !== undefined) return ['--enroll goes without --enroll-file: give one of the two'];
  const other = tlsCert === undefined ? (token ?? tokenFile) : tlsCert;
  return other === undefined
    ? []
    : ['--enroll gives the agent its credential: leave out --tls-cert, --token-file and SWITCHYARD_AGENT_TOKEN'];
}

function parseCoordinators(text: string): string {
  const addresses = text.split(',').map((address) => address.trim());
  for (const address of addresses) {
    if (hostOf(address) === undefined) throw bad('--coordinator', `"${address}" must be host:port, such as build-1.example.com:7410`);
  }
  return addresses.join(',');
}

function parseLabels(words: readonly string[]): Labels {
  const labels: Record<string, string> = {};
  for (const word of words) {
    const [key, value] = pairOf(word, '--label', 'key=value, such as class=edge');
    if (!LABEL_KEY.test(key) || !LABEL_VALUE.test(value)) {
      throw bad('--label', `"${word}" must have a key and a value of letters, digits, ".", "_" and "-", as Kubernetes has them`);
    }
    if (TRUSTED_LABELS.some((trusted) => trusted === key)) {
      throw bad('--label', `"${key}" carries trust and comes from the agent's token: set it where the token is defined`);
    }
    labels[key] = value;
  }
  return labels;
}

function parseResources(words: readonly string[]): Readonly<Record<string, number>> {
  const custom: Record<string, number> = {};
  for (const word of words) {
    const [name, count] = pairOf(word, '--resource', 'name=count, such as gpu=1');
    if (!RESOURCE_NAME.test(name) || !/^[0-9]{1,15}$/.test(count))
      throw bad('--resource', `"${word}" must be a name and a whole number, such as gpu=1`);
    custom[name] = Number(count);
  }
  return custom;
}

function pairOf(word: string, option: string, form: string): readonly [string, string] {
  const equals = word.indexOf('=');
  if (equals <= 0) throw bad(option, `"${word}" must be ${form}`);
  return [word.slice(0, equals), word.slice(equals + 1)];
}

function cpuOf(text: string): number {
  const millis = parseCpuMillis(text);
  if (millis === undefined || millis <= 0) throw bad('--cpu', `"${text}" must be a number of cores such as 4, 0.5 or 1500m`);
  return millis;
}

function bad(field: string, fix: string): Fault {
  return new Fault('CONFIG_INVALID', `${field}: ${fix}`, { field });
}

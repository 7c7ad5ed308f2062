import { describe, expect, test } from 'vitest';
import { isFault } from '../base/fault.ts';
import { parseAgentConfig, type AGENT_OPTIONS } from './config.ts';

function problem(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  try {
    parseAgentConfig(env, argv);
  } catch (error) {
    if (isFault(error, 'CONFIG_INVALID')) return error.message;
    throw error;
  }
  return expect.unreachable('nothing was wrong');
}

test('another host is dialled over TLS, or in clear where that is said', () => {
  expect(problem(['--coordinator', '127.0.0.1:1,yard:2'])).toContain(
    '--coordinator is yard:2, on another host: give --tls-ca, or say --insecure',
  );
  expect(problem(['--tls-cert', 'c'])).toContain('go together');
  expect(problem(['--metrics-listen', '0.0.0.0:9464'])).toContain('--metrics-listen is 0.0.0.0:9464');
  expect(parseAgentConfig({}, ['--coordinator', 'yard:2', '--insecure']).coordinator).toBe('yard:2');
  expect(parseAgentConfig({}, ['--coordinator', 'yard:2', '--tls-ca', 'system']).tlsCa).toBe('system');
});

test('an agent that enrols brings no other credential, and its token says how the coordinator is known', () => {
  expect(parseAgentConfig({}, ['--coordinator', 'yard:2', '--enroll', 'swe1.x'])).toMatchObject({ enroll: 'swe1.x', tlsCa: undefined });
  expect(parseAgentConfig({ SWITCHYARD_AGENT_ENROLL_FILE: '/f' }, ['--coordinator', 'yard:2'])).toMatchObject({ enrollFile: '/f' });
  expect(problem(['--enroll', 'a', '--enroll-file', 'b'])).toContain('give one of the two');
  expect(problem(['--enroll', 'a', '--tls-cert', 'c', '--tls-key', 'k'])).toContain('leave out --tls-cert');
  expect(problem(['--enroll', 'a', '--token-file', 't'])).toContain('leave out --tls-cert, --token-file');
});

test('every option reaches the configuration', () => {
  const given: Readonly<Record<keyof typeof AGENT_OPTIONS.options, string | undefined>> = {
    coordinator: 'host:1',
    token: undefined,
    tokenFile: '/token',
    tlsCa: '/ca.pem',
    tlsServerName: 'yard',
    tlsCert: '/cert.pem',
    tlsKey: '/key.pem',
    enroll: undefined,
    enrollFile: undefined,
    insecure: undefined,
    id: 'edge-7',
    label: 'class=edge',
    workDir: '/work',
    slots: '3',
    cpu: '1500m',
    memory: '2Gi',
    resource: 'gpu=2',
    sandbox: 'process',
    sandboxPath: '/opt/tools',
    cacheSize: '5Gi',
    spoolSize: '2Mi',
    drainTimeout: '30s',
    metricsListen: '127.0.0.1:9464',
    exitWithParent: undefined,
    logLevel: 'warn',
  };
  const argv = Object.entries(given).flatMap(([key, value]) =>
    value === undefined ? [] : [`--${key.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`, value],
  );
  expect(parseAgentConfig({}, [...argv, '--exit-with-parent'])).toEqual({
    coordinator: 'host:1',
    token: undefined,
    tokenFile: '/token',
    tlsCa: '/ca.pem',
    tlsServerName: 'yard',
    tlsCert: '/cert.pem',
    tlsKey: '/key.pem',
    enroll: undefined,
    enrollFile: undefined,
    id: 'edge-7',
    labels: { class: 'edge' },
    workDir: '/work',
    slots: 3,
    cpuMillis: 1_500,
    memoryBytes: 2 * 1024 ** 3,
    custom: { gpu: 2 },
    sandbox: 'process',
    sandboxPaths: ['/opt/tools'],
    cacheBytes: 5 * 1024 ** 3,
    spoolBytes: 2 * 1024 ** 2,
    drainTimeoutMs: 30_000,
    metricsListen: '127.0.0.1:9464',
    exitWithParent: true,
    logLevel: 'warn',
  });
});

test('a token comes from the environment and never shows', () => {
  const { token } = parseAgentConfig({ SWITCHYARD_AGENT_TOKEN: 'geheim' }, []);
  expect(token?.reveal()).toBe('geheim');
  expect(String(token)).toBe('***');
});

test('labels from the environment stand between commas', () => {
  expect(parseAgentConfig({ SWITCHYARD_AGENT_LABEL: 'class=edge, site=a1' }, []).labels).toEqual({ class: 'edge', site: 'a1' });
});

describe('what is wrong is named', () => {
  test.for([
    { argv: ['--label', 'edge'], says: '--label: "edge" must be key=value' },
    { argv: ['--label', 'zone=production'], says: '"zone" carries trust and comes from the agent\'s token' },
    { argv: ['--label', 'a=b c'], says: '"a=b c" must have a key and a value' },
    { argv: ['--resource', 'gpu=many'], says: '"gpu=many" must be a name and a whole number' },
    { argv: ['--cpu', 'all'], says: '"all" must be a number of cores' },
    { argv: ['--id', 'Edge_1'], says: '"Edge_1" must be 1 to 63 of' },
  ])('$argv', ({ argv, says }) => {
    expect(problem(argv)).toContain(says);
  });

  test('two sources of the token', () => {
    expect(problem(['--token-file', '/x'], { SWITCHYARD_AGENT_TOKEN: 'y' })).toContain('give one of the two');
  });
});

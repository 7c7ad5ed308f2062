import { expect, test } from 'vitest';
import { isLocalOnly, parseCoordinatorConfig } from './config.ts';

const problemsOf = (...argv: string[]): string => {
  try {
    parseCoordinatorConfig({}, argv);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
};

test('without options it listens on loopback only', () => {
  const config = parseCoordinatorConfig({}, []);
  expect(isLocalOnly(config)).toBe(true);
  expect(config).toMatchObject({ leaseTtl: 15_000, heartbeat: 5_000, logBytesMax: 67_108_864, retention: 604_800_000 });
});

test.for(['--listen', '--data-listen'])('%s off loopback without tokens is refused, with what to do', (flag) => {
  expect(problemsOf(flag, '0.0.0.0:7410')).toContain(
    `${flag} is 0.0.0.0:7410, which others can reach: give --tokens-file, or listen on 127.0.0.1`,
  );
  expect(problemsOf(flag, '[::]:7410')).toContain('give --tokens-file');
  expect(problemsOf(flag, '127.0.0.1:7410')).toBe('');
  expect(problemsOf(flag, '[::1]:7410')).toBe('');
  expect(problemsOf(flag, '127.0.0.1.example.org:7410')).toContain('give --tokens-file');
});

test('with tokens it may listen for others, and then no connection is local', () => {
  const config = parseCoordinatorConfig({}, ['--listen', '0.0.0.0:7410', '--tokens-file', 'tokens.json', '--insecure']);
  expect(isLocalOnly(config)).toBe(false);
});

test.for(['--listen', '--data-listen', '--data-http-listen', '--metrics-listen', '--data-metrics-listen'])(
  '%s off loopback is over TLS, or in clear where that is said',
  (flag) => {
    const given = ['--tokens-file', 'tokens.json', '--address', 'yard:7410', '--data-address', 'yard:7411', flag, '10.0.0.5:7499'];
    expect(problemsOf(...given)).toContain(
      `${flag} is 10.0.0.5:7499, which others can reach: give --tls-cert and --tls-key, or say --insecure to listen in clear`,
    );
    expect(problemsOf(...given, '--insecure')).toBe('');
    expect(problemsOf(...given, '--tls-cert', 'c', '--tls-key', 'k', '--tls-ca', 'a')).toBe('');
  },
);

test('halves of TLS are named', () => {
  expect(problemsOf('--tls-cert', 'c')).toContain('--tls-cert and --tls-key go together');
  expect(problemsOf('--tls-cert', 'c', '--tls-key', 'k')).toContain('--tls-ca is required with --tls-cert');
  expect(problemsOf('--zone-ca', 'trusted=f')).toContain('--zone-ca is for TLS');
  expect(problemsOf('--tls-cert', 'c', '--tls-key', 'k', '--tls-ca', 'a', '--zone-ca', 'root=f')).toContain('must be a zone and a file');
});

test('every problem is named at once', () => {
  const text = problemsOf('--listen', 'nowhere', '--heartbeat', '10s', '--local-project', 'a b', '--local-scope', '/x');
  expect(text).toContain('--listen must be host:port, got "nowhere"');
  expect(text).toContain('--heartbeat is 10000 ms, but must be at most a third of --lease-ttl, 15000 ms');
  expect(text).toContain('--local-project');
  expect(text).toContain('--local-scope');
});

test('an unknown option is refused with a suggestion', () => {
  expect(problemsOf('--lisen', 'x')).toContain('did you mean "--listen"');
});

test('a data plane on all interfaces needs an address that others can be told', () => {
  const wildcard = ['--insecure', '--tokens-file', 'tokens.json', '--data-listen', '0.0.0.0:7411'];
  expect(() => parseCoordinatorConfig({}, wildcard)).toThrow('--data-address is required where --data-listen is 0.0.0.0:7411');
  expect(parseCoordinatorConfig({}, [...wildcard, '--data-address', 'yard:7411']).dataAddress).toBe('yard:7411');
});

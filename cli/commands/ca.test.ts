import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../test/fixtures/run.ts';
import { ROOT } from '../../test/fixtures/root.ts';
import { tempDir } from '../../test/fixtures/temp-dir.ts';

const blocks = (file: string) => readFileSync(file, 'utf8').match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? [];

test('an authority is made, signs, is replaced while the old one is trusted, and retired', { timeout: 120_000 }, async () => {
  await using dir = await tempDir();
  const at = (name: string) => join(dir.path, name);
  const ca = (...args: readonly string[]) => run(process.execPath, [join(ROOT, 'bin/switchyard.js'), 'ca', ...args, '--dir', dir.path]);
  expect(await ca('create', 'trusted')).toMatchObject({ code: 0 });
  expect(await ca('create', 'trusted')).toMatchObject({ code: 2, stderr: expect.stringContaining('There is an authority') });
  expect(statSync(at('trusted-ca.key')).mode & 0o777).toBe(0o600);
  expect(await ca('issue', 'trusted', '--agent', 'c/p/a-1', '--out', at('a-1'))).toMatchObject({ code: 0 });
  const leaf = new X509Certificate(readFileSync(at('a-1.crt')));
  expect(leaf.subjectAltName).toBe('URI:spiffe://switchyard/zone/trusted/cluster/c/pool/p/agent/a-1');
  expect(leaf.checkPrivateKey(createPrivateKey(readFileSync(at('a-1.key'))))).toBe(true);
  expect(await ca('issue', 'trusted', '--scaler', 'c/keda', '--out', at('keda'))).toMatchObject({ code: 0 });
  expect(new X509Certificate(readFileSync(at('keda.crt'))).subjectAltName).toBe(
    'URI:spiffe://switchyard/zone/trusted/cluster/c/scaler/keda',
  );
  const [first] = blocks(at('trusted-ca.pem')).map((one) => new X509Certificate(one));
  expect(first !== undefined && leaf.verify(first.publicKey)).toBe(true);

  expect(await ca('retire', 'trusted')).toMatchObject({ code: 2, stderr: expect.stringContaining('one authority only') });
  expect(await ca('rotate', 'trusted')).toMatchObject({ code: 0 });
  const [second, old] = blocks(at('trusted-ca.pem')).map((one) => new X509Certificate(one));
  expect(old?.fingerprint256).toBe(first?.fingerprint256);
  expect(await ca('issue', 'trusted', '--host', 'yard.test', '10.0.0.5', '--out', at('server'))).toMatchObject({ code: 0 });
  const server = new X509Certificate(readFileSync(at('server.crt')));
  expect(second !== undefined && server.verify(second.publicKey) && server.checkIssued(second)).toBe(true);
  expect(server.subjectAltName).toBe('DNS:yard.test, IP Address:10.0.0.5');
  expect(await ca('retire', 'trusted')).toMatchObject({ code: 0 });
  expect(blocks(at('trusted-ca.pem')).map((one) => new X509Certificate(one).fingerprint256)).toEqual([second?.fingerprint256]);

  for (const [args, message] of [
    [['issue', 'trusted', '--out', at('x')], 'needs a name'],
    [['issue', 'trusted', '--agent', 'c/p', '--out', at('x')], 'names no agent'],
    [['issue', 'trusted', '--scaler', 'c/p/x', '--out', at('x')], 'names no autoscaler'],
    [['issue', 'trusted', '--scaler', 'c/k', '--agent', 'c/p/a', '--out', at('x')], 'exclude each other'],
    [['issue', 'production', '--host', 'h', '--out', at('x')], 'production-ca.pem cannot be read'],
    [['create', 'production', '--expires', 'never'], 'is no duration'],
  ] as const) {
    expect(await ca(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
  }
});

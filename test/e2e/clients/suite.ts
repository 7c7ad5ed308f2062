import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashToken } from '../../../base/auth.ts';
import { authorityIn, certificateBy, writeCertificate } from '../../fixtures/certificates.ts';
import { freePorts } from '../../fixtures/ports.ts';
import { ROOT } from '../../fixtures/root.ts';
import { startNode, type RunningProcess } from '../../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../../fixtures/temp-dir.ts';
import { until } from '../../fixtures/until.ts';
import type { Client, Machine } from './client.ts';

const caller = (name: string, role: string, scope: string) => {
  return { name, sha256: hashToken(name), kind: 'caller', role, project: 'web', scope, zoneCeiling: 'trusted' };
};
const TOKENS = [caller('writer', 'submitter', 'main'), caller('reader', 'viewer', 'main')];
/** A download the first time. */
const INSTALL_MS = 300_000;

let dir: TempDir;
let server: RunningProcess;
let addresses: Pick<Machine, 'http' | 'grpc' | 'authorities'>;
let isOverTls = false;
let tls: readonly string[] = [];

/** Has the server of this file of tests speak TLS: `authorities` of the machines is the file of whom to trust. */
export function serveOverTls(): void {
  isOverTls = true;
}

/** Starts the data plane, again at the same addresses where it ran before. */
async function start(): Promise<void> {
  const listens = ['--listen', addresses.grpc, '--http-listen', addresses.http];
  const places = ['--dir', join(dir.path, 'blobs'), '--tokens-file', join(dir.path, 'tokens.json')];
  server = startNode([join(ROOT, 'cache/main.ts'), ...listens, ...places, ...tls]);
  await server.ready();
}

async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  server.kill(signal);
  await server.ended;
}

beforeAll(async () => {
  dir = await tempDir();
  await writeFile(join(dir.path, 'tokens.json'), JSON.stringify(TOKENS));
  const [grpc, http] = await freePorts(2);
  addresses = { grpc: `127.0.0.1:${grpc}`, http: `127.0.0.1:${http}` };
  if (isOverTls) {
    const authority = authorityIn(dir.path, 'authority');
    const { cert, key } = writeCertificate(dir.path, 'server', certificateBy(authority, { hosts: ['127.0.0.1'] }));
    addresses = { ...addresses, authorities: authority.file };
    tls = ['--tls-cert', cert, '--tls-key', key];
  }
  await start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

type Sources = { readonly a: string; readonly b: string };

/** A checkout on another machine; sources are C strings, so that every client can build them. */
async function machineOf(client: Client, token: string, sources: Sources): Promise<Machine> {
  const machine: Machine = { dir: await mkdtemp(join(dir.path, 'machine-')), token, ...addresses };
  await client.prepare(machine);
  for (const unit of ['a', 'b'] as const) {
    const of = join(machine.dir, client.unitsDir, unit);
    await mkdir(of, { recursive: true });
    await writeFile(join(of, 'src.txt'), JSON.stringify(sources[unit]));
  }
  return machine;
}

/** Builds on a machine of its own, and says what came of it. */
async function build(client: Client, token: string, sources: Sources) {
  const machine = await machineOf(client, token, sources);
  const { code, built, found, text } = await client.run(machine);
  expect(code, text).toBe(0);
  return { built, found, text, output: await readFile(join(machine.dir, client.output)) };
}

/** What each client shows: what it finds and what it stores. */
export function testClients(clients: readonly Client[], installMs = INSTALL_MS): void {
  describe.for(clients)('$name', (client) => {
    beforeAll(() => client.install(), installMs);

    test('builds cold, finds all of it on another machine, and builds again what changed', async () => {
      const first = await build(client, 'writer', { a: 'one', b: 'two' });
      expect(first, first.text).toMatchObject({ built: ['a', 'b'], found: [] });
      const second = await build(client, 'writer', { a: 'one', b: 'two' });
      expect(second, second.text).toMatchObject({ built: [], found: ['a', 'b'] });
      expect(second.output.equals(first.output)).toBe(true);
      const changed = await build(client, 'writer', { a: 'one', b: 'three' });
      expect(changed, changed.text).toMatchObject({ built: ['b'], found: ['a'] });
      expect(changed.output.includes('three')).toBe(true);
    });

    test('finds what others stored with a credential that may only read, and its own builds change nothing', async () => {
      const sources = { a: 'reads', b: 'reads too' };
      const stranger = await build(client, 'reader', sources);
      expect(stranger, stranger.text).toMatchObject({ built: ['a', 'b'], found: [] });
      const first = await build(client, 'writer', sources);
      expect(first, first.text).toMatchObject({ built: ['a', 'b'], found: [] });
      const reader = await build(client, 'reader', sources);
      expect(reader, reader.text).toMatchObject({ built: [], found: ['a', 'b'] });
    });
  });
}

/** What each client shows where the server goes away, or loses what it has; each test ends within `testMs`. */
export function testBreaking(clients: readonly Client[], installMs = INSTALL_MS, testMs = 240_000): void {
  describe.for(clients)('$name', (client) => {
    beforeAll(() => client.install(), installMs);

    test(
      'goes on as it means to when the server is killed in mid-build, and finds what it can once that is back',
      async () => {
        const sources = { a: `${client.name} is killed`, b: 'meanwhile' };
        const machine = await machineOf(client, 'writer', sources);
        const ended = client.run(machine);
        try {
          const done = join(machine.dir, client.output.replace(/\bb\b/, 'a'));
          await until('one of the units is built', () => existsSync(done));
        } finally {
          await end('SIGKILL');
        }
        const { code, text } = await ended;
        await start();
        const isTold = client.needsServer === true && text.includes(addresses.http);
        expect(code === 0 || isTold, text).toBe(true);
        const second = await build(client, 'writer', sources);
        expect([...second.built, ...second.found].toSorted(), second.text).toEqual(['a', 'b']);
        const third = await build(client, 'writer', sources);
        expect(third, third.text).toMatchObject({ built: [], found: ['a', 'b'] });
        expect(third.output.equals(second.output) && third.output.includes(sources.b)).toBe(true);
      },
      testMs,
    );

    test(
      'builds again what was evicted, and stores it',
      async () => {
        const sources = { a: `${client.name} is evicted`, b: 'too' };
        const first = await build(client, 'writer', sources);
        expect(first, first.text).toMatchObject({ built: ['a', 'b'], found: [] });
        await end('SIGTERM');
        await rm(join(dir.path, 'blobs/cas'), { recursive: true });
        await start();
        const second = await build(client, 'writer', sources);
        expect(second, second.text).toMatchObject({ built: ['a', 'b'], found: [] });
        const third = await build(client, 'writer', sources);
        expect(third, third.text).toMatchObject({ built: [], found: ['a', 'b'] });
        for (const { output } of [second, third]) expect(output.equals(first.output)).toBe(true);
      },
      testMs,
    );
  });
}

import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashToken } from '../../../base/auth.ts';
import { needs } from '../../fixtures/host.ts';
import { ROOT } from '../../fixtures/root.ts';
import { startNode, type RunningProcess } from '../../fixtures/run-process.ts';
import { tempDir, type TempDir } from '../../fixtures/temp-dir.ts';
import { ccache } from './ccache.ts';
import type { Client, Machine } from './client.ts';
import { moon } from './moon.ts';
import { nx } from './nx.ts';
import { turborepo } from './turborepo.ts';

const caller = (name: string, role: string, scope: string) => {
  return { name, sha256: hashToken(name), kind: 'caller', role, project: 'web', scope, zoneCeiling: 'trusted' };
};
const TOKENS = [caller('writer', 'submitter', 'main'), caller('reader', 'viewer', 'main')];
/** A download the first time. */
const INSTALL_MS = 300_000;

let dir: TempDir;
let server: RunningProcess;
let addresses: Pick<Machine, 'http' | 'grpc'>;

beforeAll(async () => {
  dir = await tempDir();
  await writeFile(join(dir.path, 'tokens.json'), JSON.stringify(TOKENS));
  const listens = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0'];
  const places = ['--dir', join(dir.path, 'blobs'), '--tokens-file', join(dir.path, 'tokens.json')];
  server = startNode([join(ROOT, 'cache/main.ts'), ...listens, ...places]);
  const { address, httpAddress } = await server.ready();
  addresses = { grpc: String(address), http: String(httpAddress) };
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

/** A checkout on another machine; sources are C strings, so that every client can build them. */
async function machineOf(client: Client, token: string, sources: { readonly a: string; readonly b: string }): Promise<Machine> {
  const machine: Machine = { dir: await mkdtemp(join(dir.path, 'machine-')), token, ...addresses };
  await client.prepare(machine);
  for (const unit of ['a', 'b'] as const) {
    const of = join(machine.dir, client.unitsDir, unit);
    await mkdir(of, { recursive: true });
    await writeFile(join(of, 'src.txt'), JSON.stringify(sources[unit]));
  }
  return machine;
}

const CLIENTS = [turborepo, nx, moon('none'), moon('zstd'), ccache('subdirs'), ccache('flat'), ccache('bazel')];

describe.runIf(needs('npm', 'git', 'compiler')).for(CLIENTS)('$name', (client) => {
  beforeAll(() => client.install(), INSTALL_MS);

  const build = async (token: string, sources: { readonly a: string; readonly b: string }) => {
    const machine = await machineOf(client, token, sources);
    const { code, built, found, text } = await client.run(machine);
    expect(code, text).toBe(0);
    return { built, found, text, output: await readFile(join(machine.dir, client.output)) };
  };

  test('builds cold, finds all of it on another machine, and builds again what changed', async () => {
    const first = await build('writer', { a: 'one', b: 'two' });
    expect(first, first.text).toMatchObject({ built: ['a', 'b'], found: [] });
    const second = await build('writer', { a: 'one', b: 'two' });
    expect(second, second.text).toMatchObject({ built: [], found: ['a', 'b'] });
    expect(second.output.equals(first.output)).toBe(true);
    const changed = await build('writer', { a: 'one', b: 'three' });
    expect(changed, changed.text).toMatchObject({ built: ['b'], found: ['a'] });
    expect(changed.output.includes('three')).toBe(true);
  });

  test('finds what others stored with a credential that may only read, and its own builds change nothing', async () => {
    const sources = { a: 'reads', b: 'reads too' };
    const stranger = await build('reader', sources);
    expect(stranger, stranger.text).toMatchObject({ built: ['a', 'b'], found: [] });
    const first = await build('writer', sources);
    expect(first, first.text).toMatchObject({ built: ['a', 'b'], found: [] });
    const reader = await build('reader', sources);
    expect(reader, reader.text).toMatchObject({ built: [], found: ['a', 'b'] });
  });
});

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRealYard, writeFiles, type RealYard } from '../e2e/real-yard.ts';
import { needs } from '../fixtures/host.ts';
import { until } from '../fixtures/until.ts';
import { buildbox } from './buildbox.ts';
import { compile, writeUnit } from './recc.ts';

const never = new AbortController().signal;
const UNITS = ['a', 'b', 'c'];
/** Of functions that take the compiler a while: so long that it is still at work when it is killed. */
const SLOW = Array.from(
  { length: 6_000 },
  (_, i) => `int f${i}(int *x) { int s = 0; for (int i = 0; i < x[0]; i++) s += x[i] * ${i}; return s; }`,
);

describe.runIf(needs('compiler'))('recc', () => {
  let yard: RealYard;
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    await buildbox('recc');
    yard = await startRealYard({ agents: ['one', 'two'] });
    const endpoint = (await yard.server.server(never)).dataAddress;
    env = {
      PATH: '/usr/bin:/bin',
      RECC_SERVER: `http://${endpoint}`,
      RECC_REMOTE_PLATFORM_OSFamily: 'linux',
      LC_ALL: 'C',
      RECC_REMOTE_ENV_LC_ALL: 'C',
      RECC_RETRY_LIMIT: '10',
      RECC_RETRY_DELAY: '200',
    };
  }, 300_000);
  afterAll(() => yard[Symbol.asyncDispose]());

  /** Compiles everything in a directory of its own, and says which units were found, which an agent made. */
  const buildIn = async (machine: string, texts: Readonly<Record<string, string>>) => {
    const dir = join(yard.work, machine);
    const outcome = { found: [] as string[], remote: [] as string[] };
    for (const unit of UNITS) {
      await writeUnit(dir, unit);
      await writeFile(join(dir, unit, 'src.txt'), JSON.stringify(texts[unit] ?? unit));
      const { code, text, found, remote } = await compile(dir, unit, { ...env, HOME: dir });
      expect(code, text).toBe(0);
      if (found) outcome.found.push(unit);
      if (remote) outcome.remote.push(unit);
    }
    const objects = await Promise.all(UNITS.map((unit) => readFile(join(dir, `${unit}.o`), 'latin1')));
    return { ...outcome, objects };
  };

  test('a cold build runs on agents, a second machine finds all of it, and a change runs again what it concerns', async () => {
    const first = await buildIn('machine-1', {});
    expect(first).toMatchObject({ found: [], remote: UNITS });
    const second = await buildIn('machine-2', {});
    expect(second).toEqual({ found: UNITS, remote: [], objects: first.objects });
    const changed = await buildIn('machine-3', { b: 'another text' });
    expect(changed).toMatchObject({ found: ['a', 'c'], remote: ['b'] });
    expect(changed.objects[1]).toContain('another text');
  });

  test('what does not compile says why, and does so again the next time', async () => {
    const dir = join(yard.work, 'machine-1');
    await writeFiles(dir, { 'bad.c': 'int oh = dear;\n' });
    for (let round = 0; round < 2; round += 1) {
      const { code, text, found, remote } = await compile(dir, 'bad', { ...env, HOME: dir });
      expect({ code, found, remote }, text).toEqual({ code: 1, found: false, remote: true });
      expect(text).toContain("'dear' undeclared");
    }
  });

  test('the death of coordinator and data plane in the middle of a compilation costs time and nothing else', async () => {
    const dir = join(yard.work, 'machine-1');
    await writeFiles(dir, { 'slow.c': SLOW.join('\n') });
    const building = compile(dir, 'slow', { ...env, HOME: dir });
    await until('it runs', async () => (await yard.server.agents(never)).agents.some(({ running }) => running.length > 0));
    await yard.killCoordinator();
    const { code, text, found, remote } = await building;
    expect({ code, found, remote }, text).toEqual({ code: 0, found: false, remote: true });
    expect((await readFile(join(dir, 'slow.o'))).includes('f5999')).toBe(true);
  });

  test('a cache that has lost its blobs is filled anew', async () => {
    const texts = { a: 'lost', b: 'too', c: 'as well' };
    const first = await buildIn('machine-4', texts);
    const blobs = join(yard.dir, 'coordinator', 'blobs');
    await yard.killCoordinator(async () => {
      const key = await readFile(join(blobs, 'signing-key.pem'));
      await rm(blobs, { recursive: true });
      await mkdir(blobs, { mode: 0o700 });
      await writeFile(join(blobs, 'signing-key.pem'), key, { mode: 0o600 });
    });
    const second = await buildIn('machine-5', texts);
    expect(second).toEqual({ found: [], remote: UNITS, objects: first.objects });
    expect(await buildIn('machine-6', texts)).toEqual({ found: UNITS, remote: [], objects: first.objects });
  });
});

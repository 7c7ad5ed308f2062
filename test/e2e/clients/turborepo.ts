import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { turboProgram } from '../../fixtures/client-tools.ts';
import { run } from '../../fixtures/run.ts';
import { envOf, unitsIn, type Client } from './client.ts';

const UNITS = { a: {}, b: { a: '*' } } as const;
const SIGNATURE_KEY = 'a key that signs what is put into the cache';

let program = '';

/** Turborepo, which signs what it stores and asks before each request where to send it. */
export const turborepo: Client = {
  name: 'Turborepo',
  unitsDir: 'packages',
  output: 'packages/b/dist/out.txt',
  install: async () => void (program = await turboProgram()),
  async prepare({ dir }) {
    const workspaces = ['packages/*'];
    await writeJson(join(dir, 'package.json'), { name: 'w', private: true, packageManager: 'npm@10.0.0', workspaces });
    await writeJson(join(dir, 'turbo.json'), {
      remoteCache: { signature: true },
      tasks: { build: { dependsOn: ['^build'], outputs: ['dist/**'] } },
    });
    const packages: Record<string, unknown> = { '': { name: 'w', workspaces } };
    for (const [unit, dependencies] of Object.entries(UNITS)) {
      packages[`node_modules/${unit}`] = { resolved: `packages/${unit}`, link: true };
      packages[`packages/${unit}`] = { name: unit, version: '1.0.0', dependencies };
      await mkdir(join(dir, 'packages', unit), { recursive: true });
      const build = 'mkdir -p dist && cat src.txt > dist/out.txt';
      await writeJson(join(dir, 'packages', unit, 'package.json'), { name: unit, version: '1.0.0', dependencies, scripts: { build } });
    }
    await writeJson(join(dir, 'package-lock.json'), { name: 'w', lockfileVersion: 3, requires: true, packages });
  },
  async run(machine) {
    const env = envOf(machine, {
      TURBO_API: `http://${machine.http}`,
      TURBO_TOKEN: machine.token,
      TURBO_TEAM: 'any-team',
      TURBO_PREFLIGHT: '1',
      TURBO_REMOTE_CACHE_SIGNATURE_KEY: SIGNATURE_KEY,
      TURBO_TELEMETRY_DISABLED: '1',
      TURBO_NO_UPDATE_NOTIFIER: '1',
    });
    const { code, stdout, stderr } = await run(program, ['run', 'build', '--ui=stream'], { cwd: machine.dir, env, deadlineMs: 60_000 });
    const text = stdout + stderr;
    const found = unitsIn(text, /^(?<unit>[ab]):build: cache hit/gm);
    return { code, text, found, built: unitsIn(text, /^(?<unit>[ab]):build: cache miss/gm) };
  },
};

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, JSON.stringify(value));
}

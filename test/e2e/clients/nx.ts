import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nxModules } from '../../fixtures/client-tools.ts';
import { run } from '../../fixtures/run.ts';
import { envOf, unitsIn, type Client } from './client.ts';

const UNITS = { a: [], b: ['a'] } as const;

let installed = { modules: '', program: '' };

export const nx: Client = {
  name: 'Nx',
  needsServer: true,
  unitsDir: '.',
  output: 'b/dist/out.txt',
  install: async () => void (installed = await nxModules()),
  async prepare({ dir }) {
    await writeFile(join(dir, 'package.json'), '{"name":"w","private":true}');
    await writeFile(join(dir, '.gitignore'), 'node_modules\ndist\nhome\n.nx\n');
    await writeFile(join(dir, 'nx.json'), '{"analytics":false}');
    await symlink(installed.modules, join(dir, 'node_modules'));
    for (const [unit, implicitDependencies] of Object.entries(UNITS)) {
      const command = `mkdir -p ${unit}/dist && cat ${unit}/src.txt > ${unit}/dist/out.txt`;
      const build = {
        executor: 'nx:run-commands',
        options: { command },
        cache: true,
        dependsOn: ['^build'],
        inputs: ['{projectRoot}/src.txt'],
        outputs: ['{projectRoot}/dist'],
      };
      await mkdir(join(dir, unit), { recursive: true });
      await writeFile(
        join(dir, unit, 'project.json'),
        JSON.stringify({ name: unit, root: unit, implicitDependencies, targets: { build } }),
      );
    }
  },
  async run(machine) {
    const env = envOf(machine, {
      NX_DAEMON: 'false',
      NX_NO_CLOUD: 'true',
      NX_SELF_HOSTED_REMOTE_CACHE_SERVER: `http://${machine.http}`,
      NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN: machine.token,
    });
    const args = [installed.program, 'run-many', '-t', 'build', '--outputStyle=static'];
    const { code, stdout, stderr } = await run(process.execPath, args, { cwd: machine.dir, env, deadlineMs: 60_000 });
    const text = stdout + stderr;
    const found = unitsIn(text, /^> nx run (?<unit>[ab]):build {2}\[remote cache\]/gm);
    return { code, text, found, built: unitsIn(text, /^> nx run (?<unit>[ab]):build\s*$/gm) };
  },
};

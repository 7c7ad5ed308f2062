import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { moonProgram } from '../../fixtures/client-tools.ts';
import { output, run } from '../../fixtures/run.ts';
import { envOf, unitsIn, type Client } from './client.ts';

const DEPENDS = { a: '', b: "dependsOn: ['a']\n" } as const;

let program = '';

/** moon over the Remote Execution API, with or without compression. */
export function moon(compression: 'none' | 'zstd'): Client {
  return {
    name: `moon, ${compression === 'none' ? 'uncompressed' : compression}`,
    unitsDir: '.',
    output: 'b/dist/out.txt',
    install: async () => void (program = await moonProgram()),
    async prepare({ dir, grpc }) {
      await mkdir(join(dir, '.moon'));
      const remote = [
        `  host: 'grpc://${grpc}'`,
        '  api: grpc',
        '  auth: { token: CACHE_TOKEN }',
        `  cache: { instanceName: 'web/main', compression: ${compression} }`,
      ];
      const vcs = 'vcs: { client: git, defaultBranch: main }\ntelemetry: false\nremote:';
      await writeFile(join(dir, '.moon/workspace.yml'), `projects: ['a', 'b']\n${vcs}\n${remote.join('\n')}\n`);
      for (const [unit, depends] of Object.entries(DEPENDS)) {
        await mkdir(join(dir, unit), { recursive: true });
        const build = [
          `    command: 'sh -c "mkdir -p dist; cat src.txt > dist/out.txt"'`,
          "    inputs: ['src.txt']",
          "    outputs: ['dist']",
          ...(depends === '' ? [] : ["    deps: ['^:build']"]),
        ];
        const head = `language: unknown\n${depends}toolchains: { default: system }\n`;
        await writeFile(join(dir, unit, 'moon.yml'), `${head}tasks:\n  build:\n${build.join('\n')}\n`);
      }
      await output('git', ['-C', dir, 'init', '--quiet', '--initial-branch=main']);
      const who = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@example.com'];
      await output('git', ['-C', dir, ...who, 'commit', '--quiet', '--allow-empty', '--message=begin']);
    },
    async run(machine) {
      // What it compiles of its own at first is shared by all machines; what it keeps of builds lies in the workspace.
      const env = envOf(machine, { CACHE_TOKEN: machine.token, MOON_TELEMETRY: 'false', MOON_HOME: join(machine.dir, '../moon') });
      const { code, stdout, stderr } = await run(program, ['run', ':build'], { cwd: machine.dir, env, deadlineMs: 60_000 });
      const text = stdout + stderr;
      const found = unitsIn(text, /(?<unit>[ab]):build \(cached from remote/g);
      return { code, text, found, built: unitsIn(text, /(?<unit>[ab]):build \((?!cached)[^,)]+, /g) };
    },
  };
}

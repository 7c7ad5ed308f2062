import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ccacheProgram } from '../../fixtures/client-tools.ts';
import { run } from '../../fixtures/run.ts';
import { envOf, type Client } from './client.ts';

let installed: Awaited<ReturnType<typeof ccacheProgram>> = { program: '', env: {} };

/** ccache in front of the host's compiler, in one of its layouts. */
export function ccache(layout: 'subdirs' | 'flat' | 'bazel'): Client {
  return {
    name: `ccache, layout ${layout}`,
    unitsDir: '.',
    output: 'b.o',
    install: async () => void (installed = await ccacheProgram()),
    async prepare({ dir }) {
      for (const unit of ['a', 'b']) {
        await mkdir(join(dir, unit), { recursive: true });
        await writeFile(join(dir, `${unit}.c`), `const char *layout_${layout}_${unit} =\n#include "${unit}/src.txt"\n;\n`);
      }
    },
    async run(machine) {
      const outcome = { code: 0, built: [] as string[], found: [] as string[], text: '' };
      for (const unit of ['a', 'b']) {
        const env = envOf(machine, {
          ...installed.env,
          CCACHE_DIR: join(machine.dir, 'home', unit),
          CCACHE_SECONDARY_STORAGE: `http://${machine.token}:@${machine.http}/ccache|layout=${layout}`,
        });
        const options = { cwd: machine.dir, env, deadlineMs: 60_000 };
        const { code, stderr } = await run(installed.program, ['gcc', '-c', `${unit}.c`, '-o', `${unit}.o`], options);
        const { stdout: stats } = await run(installed.program, ['--print-stats'], options);
        outcome.code = Math.max(outcome.code, code);
        outcome.text += stderr + stats;
        if (/^direct_cache_hit\t1$/m.test(stats) && /^remote_storage_hit\t1$/m.test(stats)) outcome.found.push(unit);
        if (/^cache_miss\t1$/m.test(stats)) outcome.built.push(unit);
      }
      return outcome;
    },
  };
}

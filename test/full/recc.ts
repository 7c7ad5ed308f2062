import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { envOf, type Client } from '../e2e/clients/client.ts';
import { run } from '../fixtures/run.ts';
import { buildbox } from './buildbox.ts';

/** Writes `<unit>.c`, which is its `<unit>/src.txt` as a text of C. */
export async function writeUnit(dir: string, unit: string): Promise<void> {
  await mkdir(join(dir, unit), { recursive: true });
  await writeFile(join(dir, `${unit}.c`), `const char *${unit} =\n#include "${unit}/src.txt"\n;\n`);
}

/**
 * Compiles `<unit>.c` of a directory by recc in front of the host's compiler; `found` is whether the result was in the cache, `remote`
 * whether it was made by an agent.
 */
export async function compile(dir: string, unit: string, env: Readonly<Record<string, string>>) {
  const [program = '', ...args] = await buildbox('recc');
  const options = { cwd: dir, env: { RECC_LOG_LEVEL: 'info', ...env }, deadlineMs: 120_000 };
  const { code, stdout, stderr } = await run(program, [...args, 'gcc', '-O2', '-c', `${unit}.c`, '-o', `${unit}.o`], options);
  return { code, text: stdout + stderr, found: /Action Cache hit for \[/.test(stderr), remote: /Executing action remotely/.test(stderr) };
}

/** recc, which compiles here and takes the data plane as a cache. It sends a token over TLS alone. */
export const reccCache: Client = {
  name: 'recc, as a cache alone',
  unitsDir: '.',
  output: 'b.o',
  install: async () => void (await buildbox('recc')),
  async prepare({ dir, token }) {
    for (const unit of ['a', 'b']) await writeUnit(dir, unit);
    await writeFile(join(dir, 'token'), token);
  },
  async run(machine) {
    const outcome = { code: 0, built: [] as string[], found: [] as string[], text: '' };
    for (const unit of ['a', 'b']) {
      const { code, text, found } = await compile(
        machine.dir,
        unit,
        envOf(machine, {
          RECC_INSTANCE: 'web/main',
          RECC_SERVER: `https://${machine.grpc}`,
          RECC_SERVER_CERT: machine.authorities ?? '',
          RECC_ACCESS_TOKEN_PATH: join(machine.dir, 'token'),
          RECC_CACHE_ONLY: '1',
          RECC_CACHE_UPLOAD_LOCAL_BUILD: '1',
        }),
      );
      outcome.code = Math.max(outcome.code, code);
      outcome.text += text;
      (found ? outcome.found : outcome.built).push(unit);
    }
    return outcome;
  },
};

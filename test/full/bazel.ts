import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output, run, type RunResult } from '../fixtures/run.ts';
import { toolDir } from '../fixtures/tool-dir.ts';

/** The newest Bazel that a registry has whole: one file with its own Java, which needs nothing else of the network. */
const VERSION = '2.1.0';
const PACKAGE = '@bazel/bazel-linux_x64';

/** The path of a real Bazel; it is downloaded once, from npm's registry. @throws {Error} with npm's own words */
export async function bazelProgram(): Promise<string> {
  const dir = await toolDir(`bazel-${VERSION}`, async (into) => {
    await mkdir(into, { recursive: true });
    await writeFile(join(into, 'package.json'), '{"private":true}\n');
    await output('npm', ['install', '--prefix', into, '--no-audit', '--no-fund', '--ignore-scripts', `${PACKAGE}@${VERSION}`]);
  });
  return join(dir, 'node_modules', PACKAGE, `bazel-${VERSION}-linux-x86_64`);
}

/** What of a build Bazel ran where, by its own count. */
export type Counts = { readonly total: number; readonly remote: number; readonly hits: number };

/** One machine's Bazel: a server and an output directory of its own. Disposal ends the server. */
export interface Bazel extends AsyncDisposable {
  build(targets: readonly string[], flags?: readonly string[]): Promise<RunResult & { readonly counts: Counts }>;
}

/** `workspace` is a directory with a WORKSPACE file; `place` is a directory of this machine's own. */
export async function openBazel(workspace: string, place: string, endpoint: string): Promise<Bazel> {
  const program = await bazelProgram();
  const startup = [`--output_user_root=${place}`, '--nohome_rc', '--nosystem_rc', '--noworkspace_rc', '--max_idle_secs=120'];
  const remote = [`--remote_executor=grpc://${endpoint}`, `--remote_cache=grpc://${endpoint}`, '--spawn_strategy=remote'];
  const flags = [...remote, '--genrule_strategy=remote', '--incompatible_strict_action_env', '--curses=no', '--color=no'];
  return {
    async build(targets, more = []) {
      const result = await run(program, [...startup, 'build', ...flags, ...more, '--', ...targets], { cwd: workspace });
      return { ...result, counts: countsIn(result.stderr) };
    },
    async [Symbol.asyncDispose]() {
      await run(program, [...startup, 'shutdown'], { cwd: workspace });
    },
  };
}

/** `INFO: 21 processes: 20 remote cache hit, 1 remote.` */
function countsIn(text: string): Counts {
  const line = /^INFO: (\d+) process(?:es)?(?:: (.*))?\.$/m.exec(text);
  const of = (what: RegExp) => Number(what.exec(line?.[2] ?? '')?.[1] ?? 0);
  return { total: Number(line?.[1] ?? 0), hits: of(/(\d+) remote cache hit/), remote: of(/(\d+) remote(?! cache)/) };
}

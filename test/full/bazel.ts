import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFiles } from '../e2e/real-yard.ts';
import { output, run, type RunResult } from '../fixtures/run.ts';
import { toolDir } from '../fixtures/tool-dir.ts';
import { makeRoot } from './images.ts';
import { inJavaRoot } from './java-root.ts';

/** The newest Bazel that a registry has whole: one file with its own Java, which needs nothing else of the network. */
const FROM_NPM = '2.1.0';
const PACKAGE = '@bazel/bazel-linux_x64';

/** The release of Debian that has Bazel 7, with what its rules run. It comes as a root directory of 1.4 GB (650 MB to download). */
const RELEASE = 'forky';
const PACKAGES = [
  'base-files',
  'base-passwd',
  'bash',
  'bazel-bootstrap',
  'coreutils',
  'dash',
  'diffutils',
  'findutils',
  'grep',
  'mawk',
  'sed',
];

/** Modules that Bazel 7 asks a registry for, and that a build of genrules does without. */
const UNUSED_MODULES = ['apple_support', 'buildozer', 'protobuf', 'zlib'];

/** A Bazel: 2, which speaks the API of 2.0 alone with the old fields of outputs, and 7, which has bearer tokens and loses blobs well. */
export type Version = '2' | '7';

/** How a Bazel is started in a workspace, and with what options before and after its command. */
type Program = { readonly command: readonly string[]; readonly startup: readonly string[]; readonly flags: readonly string[] };

/** What of a build Bazel ran where, by its own count; what needs no process is left out. */
export type Counts = { readonly total: number; readonly remote: number; readonly hits: number };

/** One machine's Bazel: a server and an output directory of its own. Disposal ends the server. */
export interface Bazel extends AsyncDisposable {
  build(targets: readonly string[], flags?: readonly string[]): Promise<RunResult & { readonly counts: Counts }>;
}

/** Downloads it, where it is not in `.cache/tools`. @throws {Error} with the words of npm or apt */
export async function installBazel(version: Version): Promise<void> {
  await (version === '2' ? fromNpm() : fromDebian());
}

/** `workspace` is a directory with a WORKSPACE and a MODULE.bazel file; `place` is a directory of this machine's own. Both are temporary. */
export async function openBazel(version: Version, workspace: string, place: string, endpoint: string): Promise<Bazel> {
  const program = version === '2' ? await fromNpm() : await inDebian(workspace, place);
  const [command = '', ...args] = program.command;
  const startup = [`--output_user_root=${place}`, '--nohome_rc', '--noworkspace_rc', '--max_idle_secs=120', ...program.startup];
  const remote = [`--remote_executor=grpc://${endpoint}`, `--remote_cache=grpc://${endpoint}`, '--spawn_strategy=remote'];
  const flags = [...program.flags, ...remote, '--genrule_strategy=remote', '--incompatible_strict_action_env', '--curses=no', '--color=no'];
  return {
    async build(targets, more = []) {
      const result = await run(command, [...args, ...startup, 'build', ...flags, ...more, '--', ...targets], { cwd: workspace });
      return { ...result, counts: countsIn(result.stderr) };
    },
    async [Symbol.asyncDispose]() {
      await run(command, [...args, ...startup, 'shutdown'], { cwd: workspace });
    },
  };
}

async function fromNpm(): Promise<Program> {
  const dir = await toolDir(`bazel-${FROM_NPM}`, async (into) => {
    await mkdir(into, { recursive: true });
    await writeFile(join(into, 'package.json'), '{"private":true}\n');
    await output('npm', ['install', '--prefix', into, '--no-audit', '--no-fund', '--ignore-scripts', `${PACKAGE}@${FROM_NPM}`]);
  });
  const program = join(dir, 'node_modules', PACKAGE, `bazel-${FROM_NPM}-linux-x86_64`);
  return { command: [program], startup: ['--nosystem_rc'], flags: [] };
}

/** The root directory that Debian's Bazel is in. */
async function fromDebian(): Promise<string> {
  return toolDir(`bazel-${RELEASE}-${process.arch}`, (into, work) => makeRoot(into, PACKAGES, { release: RELEASE, work }));
}

/** Debian's Bazel sees its own root directory, and of the host's the temporary directories. */
async function inDebian(workspace: string, place: string): Promise<Program> {
  const root = await fromDebian();
  const unused = (name: string) => join(place, 'modules', name);
  for (const name of UNUSED_MODULES) await writeFiles(unused(name), { 'MODULE.bazel': `module(name = "${name}")\n` });
  const libraries = ['/usr/share/bazel', ...['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu`)];
  return {
    command: [...(await inJavaRoot(root, workspace, { HOME: place })), 'bazel'],
    startup: [`--host_jvm_args=-Djava.library.path=${libraries.join(':')}`],
    flags: [
      ...UNUSED_MODULES.map((name) => `--override_module=${name}=${unused(name)}`),
      ...['--noenable_workspace', '--lockfile_mode=off', '--registry=file:///nowhere', '--sandbox_debug=false'],
    ],
  };
}

/** `INFO: 22 processes: 20 remote cache hit, 1 internal, 1 remote.` */
function countsIn(text: string): Counts {
  const line = /^INFO: (\d+) process(?:es)?(?:: (.*))?\.$/m.exec(text);
  const of = (what: RegExp) => Number(what.exec(line?.[2] ?? '')?.[1] ?? 0);
  const total = Number(line?.[1] ?? 0) - of(/(\d+) internal/);
  return { total, hits: of(/(\d+) remote cache hit/), remote: of(/(\d+) remote(?! cache)/) };
}

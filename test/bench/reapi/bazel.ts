import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Env } from '../../../base/env.ts';
import { run } from '../../fixtures/run.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { median, type Figure } from '../bench.ts';
import { cpuSecondsOf } from './server-process.ts';
import type { Target } from './target.ts';

const RULES = 400;
const OUTPUT_BYTES = 100_000;
/** Rounds before any counts: the first fills the cache, and code that a server compiles as it goes is as after a minute of work. */
const WARM_UP_ROUNDS = 11;
const ROUNDS = 20;

/**
 * Builds of a real Bazel that find all of their results in the cache and fetch all of their outputs: 400 actions of two files of 100 kB,
 * from a Bazel that runs already and has forgotten its own results. The servers take
 * turns, in the other order each round: what a build leaves to the next one is Bazel's own.
 */
export async function* bazelBuilds(
  env: Env,
  targets: readonly Target[],
  client: string | undefined,
  quick: boolean,
): AsyncGenerator<Figure> {
  if (client === undefined) throw new Error('The case bazel needs a Bazel: --client PATH');
  const program = resolve(client);
  await using dir = await tempDir();
  const rules = quick ? RULES / 20 : RULES;
  const workspace = join(dir.path, 'workspace');
  await makeWorkspace(workspace, rules);
  const startup = [`--output_user_root=${join(dir.path, 'output')}`, '--nohome_rc', '--nosystem_rc', '--noworkspace_rc'];
  const bazel = async (...args: readonly string[]) => {
    const result = await run(program, [...startup, ...args], { cwd: workspace, deadlineMs: 600_000 });
    if (result.code !== 0) throw new Error(`Bazel ended with ${result.code}:\n${result.stderr}`);
    return result.stderr;
  };
  const built = async ({ address }: Target) => {
    const remote = [`--remote_cache=grpc://${address}`, '--spawn_strategy=local', '--genrule_strategy=local', '--jobs=64'];
    return await bazel('build', ...remote, '--incompatible_strict_action_env', '--curses=no', '--color=no', '//...');
  };
  try {
    const seconds = new Map<string, number[]>(targets.map(({ name }) => [name, []]));
    const cpu = new Map<string, number[]>(targets.map(({ name }) => [name, []]));
    const warmUp = quick ? 1 : WARM_UP_ROUNDS;
    for (let round = 0; round < warmUp + (quick ? 1 : ROUNDS); round += 1) {
      for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
        await bazel('clean');
        const cpuBefore = target.pid === undefined ? Number.NaN : cpuSecondsOf(target.pid);
        const startedAt = env.clock.monotonic();
        const said = await built(target);
        if (round < warmUp) continue;
        const hits = Number(/(\d+) remote cache hit/.exec(said)?.[1] ?? 0);
        if (hits !== rules) throw new Error(`${target.name}: ${hits} of ${rules} actions were found in the cache:\n${said}`);
        seconds.get(target.name)?.push((env.clock.monotonic() - startedAt) / 1_000);
        cpu.get(target.name)?.push(target.pid === undefined ? Number.NaN : cpuSecondsOf(target.pid) - cpuBefore);
      }
    }
    const of = `a Bazel build of ${rules} actions, all hits`;
    const medians = targets.map(({ name }) => median(seconds.get(name) ?? []));
    for (const [index, { name }] of targets.entries()) {
      yield { case: `${of}: ${name}`, metric: 'time', value: medians[index] ?? Number.NaN, unit: 's' };
      yield { case: `${of}: ${name}`, metric: "server's processor time", value: median(cpu.get(name) ?? []), unit: 's' };
    }
    const [ours, others] = medians;
    if (ours !== undefined && others !== undefined)
      yield { case: `${of}: switchyard : peer`, metric: 'time', value: ours / others, unit: '×' };
  } finally {
    await run(program, [...startup, 'shutdown'], { cwd: workspace });
  }
}

async function makeWorkspace(workspace: string, rules: number): Promise<void> {
  await mkdir(workspace, { recursive: true });
  await writeFile(join(workspace, 'WORKSPACE'), '');
  const rule = (index: number) => {
    const outs = [`a${index}`, `b${index}`];
    const commands = outs.map((out) => `(echo ${out}; head -c ${OUTPUT_BYTES} /dev/zero) > $(@D)/${out}`);
    return `genrule(name = "r${index}", outs = ["${outs.join('", "')}"], cmd = "${commands.join('; ')}")`;
  };
  await writeFile(join(workspace, 'BUILD'), `${Array.from({ length: rules }, (_, index) => rule(index)).join('\n')}\n`);
}

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Figure } from '../bench.ts';
import { openAgent, PLACE, type BenchAgent } from './agent.ts';
import { linkedCopy } from './archive.ts';
import { archiveKey, publish, warmAgentDir, type Field, type Ground, type Published } from './field.ts';
import { never } from './rig.ts';
import { contest, type Contender } from './rounds.ts';

/** Puts a tree out of the way, to be removed at the end: some file systems make files several times slower after many were removed. */
function discard(dir: string, at: string): void {
  const discarded = path.join(dir, 'discarded');
  fs.mkdirSync(discarded, { recursive: true });
  if (fs.existsSync(at)) fs.renameSync(at, path.join(discarded, crypto.randomUUID()));
}

/** Fetching an archive and unpacking it; none where archives cannot be measured. */
function unpacking({ archives, dir }: Ground, name: string): readonly Contender[] {
  if (archives === undefined) return [];
  const into = path.join(dir, 'unpacked');
  return [{ name: 'tar.zst', work: () => archives.restore(archiveKey(name), into), after: () => discard(dir, into) }];
}

/** A step's workspace with the tree, up to the first command in it: mounted where that is possible, else copied. */
async function ready(
  { mounts }: Ground,
  agent: BenchAgent,
  { root, stored }: Published,
  command: readonly string[] = ['true'],
): Promise<AsyncDisposable> {
  const workspace = await agent.prepare(root, stored);
  await mounts?.run(
    workspace,
    command.map((word) => word.replace('%', path.join(workspace.root, PLACE))),
  );
  return workspace;
}

/** The tree that is wanted is in the agent's tier. */
export async function* sameTree(field: Field): AsyncGenerator<Figure> {
  const { rig, trees, mounts, meter, env, dir, rounds, corpora } = field;
  const { root } = trees.base;
  await using agent = await openAgent(await warmAgentDir(field), rig.store, mounts?.tools, env);
  let held: AsyncDisposable | undefined;
  const after = async () => held?.[Symbol.asyncDispose]();
  const overlay = (name: string, command: readonly string[]): Contender => ({
    name,
    work: async () => (held = await ready(field, agent, trees.base, command)),
    after,
  });
  const mounted = overlay('overlay', ['true']);
  const walking = overlay('overlay, walked', ['find', '%', '-newermt', '2100-01-01']);
  const view = agent.tier.view('main', rig.store);
  using inUse = new DisposableStack(); // what nobody uses would be moved, not linked to
  inUse.use(await view.tree(root, PLACE, never));
  const linked = path.join(dir, 'linked');
  const farms: readonly Contender[] = [
    // Another place each time, so that it is not there yet; the tree in use lends its files.
    { name: 'hard links', work: async (round) => inUse.use(await view.tree(root, `copy-${round}/${PLACE}`, never)) },
    { name: 'cp -al', work: () => linkedCopy(corpora.base, linked), after: () => discard(dir, linked) },
  ];
  const mounting = mounts === undefined ? [] : [mounted, walking];
  yield* contest({ of: 'same tree', rounds, contenders: [...unpacking(field, 'base'), ...mounting, ...farms] }, meter, env);
  for (const alone of mounting) yield* contest({ of: 'same tree, nothing else', rounds: rounds * 4, contenders: [alone] }, meter, env);
}

/** Another version of the tree is in the agent's tier, and nobody uses it. */
export async function* bumpedTree(field: Field): AsyncGenerator<Figure> {
  const { rig, trees, env, dir, rounds, mounts, meter } = field;
  const warm = await warmAgentDir(field);
  for (const variant of ['one-bumped', 'ten-bumped'] as const) {
    const own = path.join(dir, 'bumped');
    await using stack = new AsyncDisposableStack();
    stack.defer(() => discard(dir, own));
    let agent: BenchAgent | undefined;
    let held: AsyncDisposable | undefined;
    const delta: Contender = {
      name: 'delta',
      async before() {
        execFileSync('cp', ['-al', warm, own]);
        await rig.coolDown();
        agent = await openAgent(own, rig.store, mounts?.tools, env);
      },
      work: async () => (held = agent === undefined ? undefined : await ready(field, agent, trees[variant])),
      async after() {
        await held?.[Symbol.asyncDispose]();
        await agent?.[Symbol.asyncDispose]();
        discard(dir, own);
      },
    };
    yield* contest({ of: variant.replace('-', ' '), rounds, contenders: [...unpacking(field, variant), delta] }, meter, env);
  }
}

/** An agent with an empty tier and a data plane with an empty one: all comes from the bucket. */
function fetching(field: Ground, tree: Published): Contender {
  const { rig, env, dir, mounts } = field;
  const own = path.join(dir, 'cold');
  let agent: BenchAgent | undefined;
  let held: AsyncDisposable | undefined;
  return {
    name: 'fetch',
    async before() {
      await rig.coolDown();
      agent = await openAgent(own, rig.store, mounts?.tools, env);
    },
    work: async () => (held = agent === undefined ? undefined : await ready(field, agent, tree)),
    async after() {
      await held?.[Symbol.asyncDispose]();
      await agent?.[Symbol.asyncDispose]();
      discard(dir, own);
    },
  };
}

export async function* coldTree(field: Field): AsyncGenerator<Figure> {
  const { trees, env, rounds, meter } = field;
  yield* contest({ of: 'cold', rounds, contenders: [...unpacking(field, 'base'), fetching(field, trees.base)] }, meter, env);
}

const MIB = 1024 * 1024;
/** What a bucket gives one connection: as much as S3 does, and a third of it, as across regions. */
const LIMITS = [90_000_000, 30_000_000];

/** A few large files that do not compress, from a bucket that holds each connection to a rate. */
export async function* largeFiles(field: Ground, fileBytes: number): AsyncGenerator<Figure> {
  const { rig, env, rounds, archives, meter } = field;
  const own: Ground = { ...field, dir: path.join(field.dir, 'large') };
  const layer = path.join(own.dir, 'layer');
  fs.mkdirSync(layer, { recursive: true });
  for (const name of ['a', 'b', 'c']) {
    using file = { fd: fs.openSync(path.join(layer, name), 'w'), [Symbol.dispose]: () => fs.closeSync(file.fd) };
    for (let at = 0; at < fileBytes; at += MIB) fs.writeSync(file.fd, randomBytes(MIB));
  }
  await archives?.save(path.dirname(layer), 'layer', archiveKey('large'));
  const tree = await publish(layer, rig);
  for (const limit of LIMITS) {
    await rig.limit(limit);
    const of = `3 files of ${fileBytes / MIB} MiB, ${limit / 1e6} MB/s a connection`;
    yield* contest({ of, rounds, contenders: [...unpacking(own, 'large'), fetching(own, tree)] }, meter, env);
    fs.rmSync(path.join(own.dir, 'discarded'), { recursive: true, force: true });
  }
  await rig.limit(undefined);
}

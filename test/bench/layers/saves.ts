import path from 'node:path';
import type { Workspace } from '../../../agent/workspace/workspace.ts';
import type { Figure } from '../bench.ts';
import { openAgent, PLACE } from './agent.ts';
import { archiveKey, warmAgentDir, type Field } from './field.ts';
import { never } from './rig.ts';
import { contest, type Contender } from './rounds.ts';

/** Making an archive of a tree and sending it. */
function packing({ archives, corpora }: Field, variant: 'base' | 'one-bumped'): readonly Contender[] {
  if (archives === undefined) return [];
  const top = corpora[variant];
  return [{ name: 'tar.zst', work: () => archives.save(path.dirname(top), path.basename(top), archiveKey('saved')) }];
}

/** The step has changed nothing: in an overlay, and in a copy of the tree that has to be looked at. */
export async function* unchangedSave(field: Field): AsyncGenerator<Figure> {
  const { rig, trees, mounts, meter, env, rounds } = field;
  const warm = await warmAgentDir(field);
  const ours: Contender[] = [];
  await using stack = new AsyncDisposableStack();
  for (const [name, tools] of [
    ['overlay', mounts?.tools],
    ['copy, every file looked at', undefined],
  ] as const) {
    if (name === 'overlay' && tools === undefined) continue;
    // One after the other in the same directory: only the first prepares, both then save from what they have.
    const agent = stack.use(await openAgent(name === 'overlay' ? warm : path.join(field.dir, 'copied'), rig.store, tools, env));
    const workspace = stack.use(await agent.prepare(trees.base.root, trees.base.stored));
    if (tools !== undefined) await mounts?.run(workspace, ['true']);
    ours.push({ name, work: () => workspace.save(PLACE, never) });
  }
  yield* contest({ of: 'save, unchanged', rounds, contenders: [...packing(field, 'base'), ...ours] }, meter, env);
}

/** The step has exchanged one dependency; each time for another content, so that the store has none of it. */
export async function* changedSave(field: Field): AsyncGenerator<Figure> {
  const { rig, trees, mounts, meter, corpora, env, rounds } = field;
  if (mounts === undefined) return;
  await using agent = await openAgent(await warmAgentDir(field), rig.store, mounts.tools, env);
  let workspace: Workspace | undefined;
  const save: Contender = {
    name: 'overlay',
    async before(round) {
      workspace = await agent.prepare(trees.base.root, trees.base.stored);
      const to = path.join(workspace.root, PLACE, corpora.bumped);
      const script = 'rm -r "$1" && cp -a "$2" "$1" && find "$1" -type f | while read -r file; do echo "// $3" >>"$file"; done';
      const from = path.join(corpora['one-bumped'], corpora.bumped);
      await mounts.run(workspace, ['sh', '-c', script, 'sh', to, from, String(round)]);
    },
    work: async () => workspace?.save(PLACE, never),
    after: async () => workspace?.[Symbol.asyncDispose](),
  };
  yield* contest({ of: 'save, one dependency changed', rounds, contenders: [...packing(field, 'one-bumped'), save] }, meter, env);
}

import fs from 'node:fs';
import path from 'node:path';
import type { Env } from '../../../base/env.ts';
import type { Digest } from '../../../cache/digest.ts';
import type { StoredAs } from '../../../agent/workspace/workspace.ts';
import { wholeTree } from '../../../cache/layer/tree-message.ts';
import { scanTree } from '../../../cache/tree/scan.ts';
import { uploadTree } from '../../../cache/tree/upload.ts';
import { openAgent, PLACE, type Mounts } from './agent.ts';
import type { Archives } from './archive.ts';
import { VARIANTS, type Corpora, type Variant } from './corpus.ts';
import { never, type Rig } from './rig.ts';
import type { Meter } from './rounds.ts';

/** What every case works with. */
export type Ground = {
  readonly env: Env;
  readonly rig: Rig;
  /** Undefined where tar or zstd is missing; then their rows are left out. */
  readonly archives: Archives | undefined;
  /** Undefined where the host mounts none; then rows with them are left out. */
  readonly mounts: Mounts | undefined;
  readonly dir: string;
  readonly rounds: number;
  /** Of everything that takes part. */
  readonly meter: Meter;
};

/** And with trees of many files, all of them in the store. */
export type Field = Ground & { readonly corpora: Corpora; readonly trees: Readonly<Record<Variant, Published>> };

/** A tree that lies in the store, with its Tree message. */
export type Published = { readonly root: Digest; readonly stored: StoredAs };

/** The name of an archive in the bucket. */
export function archiveKey(name: string): string {
  return `archives/${name}.tar.zst`;
}

/** Puts a directory's tree into the store. */
export async function publish(top: string, rig: Rig): Promise<Published> {
  const scanned = await scanTree(top, { escapingLinks: 'keep' }, never);
  await uploadTree(scanned, rig.store, never);
  const { tree, message, bytes } = await wholeTree(scanned.root, async (digest) => scanned.encoded.get(digest) ?? new Uint8Array(0), never);
  await rig.store.put(tree, message, never);
  return { root: scanned.root, stored: { tree, bytes } };
}

/** Puts the variants into the store, and as archives into the bucket. */
export async function publishAll(corpora: Corpora, rig: Rig, archives: Archives | undefined): Promise<Field['trees']> {
  const put = async (variant: Variant) => {
    await archives?.save(path.dirname(corpora[variant]), path.basename(corpora[variant]), archiveKey(variant));
    return publish(corpora[variant], rig);
  };
  const [base, one, ten] = VARIANTS;
  return { [base]: await put(base), [one]: await put(one), [ten]: await put(ten) };
}

/** The directory of an agent that has the base tree in its tier and does not run; made once. */
export async function warmAgentDir({ dir, rig, mounts, trees, env }: Field): Promise<string> {
  const warm = path.join(dir, 'warm');
  if (fs.existsSync(warm)) return warm;
  await using agent = await openAgent(warm, rig.store, mounts?.tools, env);
  using _tree = await agent.tier.view('main', rig.store).tree(trees.base.root, PLACE, never);
  return warm;
}

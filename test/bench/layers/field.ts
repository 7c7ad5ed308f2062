import fs from 'node:fs';
import path from 'node:path';
import type { Env } from '../../../base/env.ts';
import type { OverlayTools } from '../../../agent/sandbox/overlay.ts';
import type { Digest } from '../../../cache/digest.ts';
import { scanTree } from '../../../cache/tree/scan.ts';
import { uploadTree } from '../../../cache/tree/upload.ts';
import { openAgent } from './agent.ts';
import type { Archives } from './archive.ts';
import { VARIANTS, type Corpora, type Variant } from './corpus.ts';
import { never, type Rig } from './rig.ts';

/** What every case works with. */
export type Ground = {
  readonly env: Env;
  readonly rig: Rig;
  /** Undefined where tar or zstd is missing; then their rows are left out. */
  readonly archives: Archives | undefined;
  /** Undefined where the host mounts none; then rows with them are left out. */
  readonly overlays: OverlayTools | undefined;
  readonly dir: string;
  readonly rounds: number;
};

/** And with trees of many files, all of them in the store. */
export type Field = Ground & { readonly corpora: Corpora; readonly roots: Readonly<Record<Variant, Digest>> };

/** The name of an archive in the bucket. */
export function archiveKey(name: string): string {
  return `archives/${name}.tar.zst`;
}

/** Puts a directory's tree into the store. */
export async function publish(top: string, rig: Rig): Promise<Digest> {
  const tree = await scanTree(top, { escapingLinks: 'keep' }, never);
  await uploadTree(tree, rig.store, never);
  return tree.root;
}

/** Puts the variants into the store, and as archives into the bucket. */
export async function publishAll(corpora: Corpora, rig: Rig, archives: Archives | undefined): Promise<Field['roots']> {
  const put = async (variant: Variant) => {
    await archives?.save(path.dirname(corpora[variant]), path.basename(corpora[variant]), archiveKey(variant));
    return publish(corpora[variant], rig);
  };
  const [base, one, ten] = VARIANTS;
  return { [base]: await put(base), [one]: await put(one), [ten]: await put(ten) };
}

/** The directory of an agent that has the base tree in its tier and does not run; made once. */
export async function warmAgentDir({ dir, rig, overlays, roots, env }: Field): Promise<string> {
  const warm = path.join(dir, 'warm');
  if (fs.existsSync(warm)) return warm;
  await using agent = await openAgent(warm, rig.store, overlays, env);
  using _tree = await agent.tier.view('main', rig.store).tree(roots.base, 'node_modules', never);
  return warm;
}

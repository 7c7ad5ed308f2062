import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const NAMES = ['commit', 'stage', 'flip', 'redo', 'sweep', 'lead', 'renew', 'resign', 'leader', 'inspect', 'now'] as const;

export type ScriptName = (typeof NAMES)[number];

/** A script as Redis gets it, and the name that Redis gives it. */
export type Script = { readonly name: ScriptName; readonly text: string; readonly sha: string };

export type Scripts = Readonly<Record<ScriptName, Script>> & {
  /** `commit` that goes through where memory is short: for commits that only free it. */
  readonly free: Script;
};

/** Reads the scripts that lie beside this file, with what they include. */
export function readScripts(): Scripts {
  const entries = NAMES.map((name) => [name, scriptOf(name, textOf(name))] as const);
  const scripts = Object.fromEntries(entries) as Record<ScriptName, Script>; // of exactly these names
  return { ...scripts, free: scriptOf('commit', scripts.commit.text.replace(/^#!lua\n/, '#!lua flags=allow-oom\n')) };
}

function textOf(name: string): string {
  const text = readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
  return text.replaceAll(/^-- include (\w+)\n/gm, (_, included: string) => textOf(included));
}

function scriptOf(name: ScriptName, text: string): Script {
  return { name, text, sha: createHash('sha1').update(text).digest('hex') };
}

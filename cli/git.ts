import fs from 'node:fs';
import path from 'node:path';

export type GitState = {
  /** '' where nothing is checked out by that kind of name, or there is no repository. */
  readonly branch: string;
  readonly commit: string;
  readonly tag: string;
};

const NOTHING: GitState = { branch: '', commit: '', tag: '' };

/** What is checked out in the repository around `directory`, read from its files: no program is run. */
export function gitState(directory: string): GitState {
  const gitDir = findGitDir(directory);
  const head = gitDir === undefined ? undefined : readLine(path.join(gitDir, 'HEAD'));
  if (gitDir === undefined || head === undefined) return NOTHING;
  const common = path.resolve(gitDir, readLine(path.join(gitDir, 'commondir')) ?? '.');
  const packed = readPacked(common);
  const ref = /^ref: (\S+)$/.exec(head)?.[1];
  const commit = ref === undefined ? head : (readLine(path.join(common, ref)) ?? packed.get(ref) ?? '');
  const branch = ref?.startsWith('refs/heads/') === true ? ref.slice('refs/heads/'.length) : '';
  return { branch, commit: /^[0-9a-f]{40,64}$/.test(commit) ? commit : '', tag: tagOf(commit, common, packed) };
}

function findGitDir(directory: string): string | undefined {
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const candidate = path.join(at, '.git');
    const stat = fs.statSync(candidate, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) return candidate;
    // A work tree or submodule has a file that names the directory.
    const named = stat?.isFile() === true ? /^gitdir: (.+)$/.exec(readLine(candidate) ?? '')?.[1] : undefined;
    if (named !== undefined) return path.resolve(at, named);
    if (at === path.dirname(at)) return undefined;
  }
}

function readLine(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8').split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}

/** Refs that are kept together in one file; a peeled line (`^commit`) replaces the annotated tag before it. */
function readPacked(common: string): ReadonlyMap<string, string> {
  const refs = new Map<string, string>();
  let text = '';
  try {
    text = fs.readFileSync(path.join(common, 'packed-refs'), 'utf8');
  } catch {
    return refs;
  }
  let last = '';
  for (const line of text.split('\n')) {
    const [, commit, name] = /^([0-9a-f]{40,64}) (\S+)$/.exec(line) ?? [];
    const peeled = /^\^([0-9a-f]{40,64})$/.exec(line)?.[1];
    if (commit !== undefined && name !== undefined) refs.set((last = name), commit);
    else if (peeled !== undefined) refs.set(last, peeled);
  }
  return refs;
}

/** A tag that names the commit itself; annotated tags are found where they are packed. */
function tagOf(commit: string, common: string, packed: ReadonlyMap<string, string>): string {
  if (commit === '') return '';
  const names = new Map([...packed].filter(([name]) => name.startsWith('refs/tags/')));
  const tags = path.join(common, 'refs', 'tags');
  const loose = fs.existsSync(tags) ? fs.readdirSync(tags, { recursive: true, encoding: 'utf8' }) : [];
  for (const name of loose) names.set(`refs/tags/${name}`, readLine(path.join(tags, name)) ?? '');
  const found = [...names].find(([, target]) => target === commit);
  return found === undefined ? '' : found[0].slice('refs/tags/'.length);
}

import { byKind, choice, list, mapped, record, text, type FieldType } from '../../base/document/field-type.ts';
import type { MadeOf } from '../../base/document/source.ts';

/** A key with what it was made of. */
export type CacheKeyAsWritten = { readonly key: string; readonly madeOf: MadeOf | undefined };

const keyText = text({ what: 'the key of a dependency cache', pattern: '^[^\\u0000-\\u001f\\u007f]{1,400}$', anyScalar: true });

/** Text that remembers the names and files that went into it. */
const cacheKey: FieldType<CacheKeyAsWritten> = {
  ...keyText,
  read(node, field, reading) {
    const key = keyText.read(node, field, reading);
    const madeOf = node.kind === 'text' || node.kind === 'number' || node.kind === 'boolean' ? node.madeOf : undefined;
    return key === undefined ? undefined : { key, madeOf };
  },
};

const glob = text({ what: 'a glob, such as bin/**', pattern: '^[^\\u0000-\\u001f\\u007f]{1,256}$' });

export const DEPENDENCY_POLICIES = ['both', 'pull', 'push'] as const;
export const DEPENDENCY_MODES = ['executable', 'full'] as const;
export const DEPENDENCY_MTIMES = ['fixed', 'preserve'] as const;

/** `dependencyCache` of a step, over the types of paths and names that other fields have too. */
export function dependencyCacheType(paths: FieldType<readonly string[]>, name: FieldType<string>) {
  const one = record('{paths, key, fallback, policy, only, modes, mtimes}', {
    name: { type: name, about: 'What it is called; entries are found under the same name and paths. Default: after the first path.' },
    paths: { type: paths, about: 'Directories to take up and to leave: a path or several, relative to workingDirectory.', required: true },
    key: {
      type: cacheKey,
      about: "What their content depends on, such as ${{ host.platform }}-${{ hash('package-lock.json') }}.",
      required: true,
    },
    fallback: {
      type: byKind<readonly string[]>('a beginning of keys, or a list of them', {
        text: mapped(keyText, (prefix) => [prefix]),
        list: list(keyText),
      }),
      about: 'Beginnings of keys: where the key itself is not found, the newest entry that begins with the first of them, else the next.',
    },
    policy: { type: choice(DEPENDENCY_POLICIES), about: '"pull" takes up only, "push" leaves only. Default both.' },
    only: {
      type: byKind<readonly string[]>('a glob, or a list of them', { text: mapped(glob, (one) => [one]), list: list(glob, { min: 1 }) }),
      about:
        'What is taken up of the directories: globs (*, ? and **) relative to each, such as bin/**. With "policy: pull" only. Default all.',
    },
    modes: {
      type: choice(DEPENDENCY_MODES),
      about: '"full" keeps all permission bits, "executable" only whether a file can be executed. Default executable.',
    },
    mtimes: {
      type: choice(DEPENDENCY_MTIMES),
      about: '"preserve" keeps the times of files and directories, "fixed" gives all the same. Default fixed.',
    },
  });
  return byKind<readonly NonNullable<ReturnType<typeof one.read>>[]>(
    '{paths, key, fallback, policy, only, modes, mtimes}, or a list of them',
    {
      map: mapped(one, (cache) => [cache]),
      list: list(one, { min: 1 }),
    },
  );
}

export type DependencyCacheAsWritten = NonNullable<ReturnType<ReturnType<typeof dependencyCacheType>['read']>>[number];

import { byKind, choice, list, mapped, record, text, type FieldType } from './field-type.ts';
import type { MadeOf } from './source.ts';

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

export const DEPENDENCY_POLICIES = ['both', 'pull', 'push'] as const;

/** `dependencyCache` of a step, over the types of paths and names that other fields have too. */
export function dependencyCacheType(paths: FieldType<readonly string[]>, name: FieldType<string>) {
  const one = record('{paths, key, fallback, policy}', {
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
  });
  return byKind<readonly NonNullable<ReturnType<typeof one.read>>[]>('{paths, key, fallback, policy}, or a list of them', {
    map: mapped(one, (cache) => [cache]),
    list: list(one, { min: 1 }),
  });
}

export type DependencyCacheAsWritten = NonNullable<ReturnType<ReturnType<typeof dependencyCacheType>['read']>>[number];

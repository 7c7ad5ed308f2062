type Entry = {
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};

/** Packages whose install script, or build recipe, makes nothing that we need. */
export const NEEDLESS_SCRIPTS: ReadonlySet<string> = new Set([
  'node_modules/protobufjs', // prints a note about version ranges
  'node_modules/ssh2', // builds a faster cipher for Docker engines that are reached by ssh; without it, OpenSSL's is used
  'node_modules/cpu-features', // belongs to that cipher
]);

/**
 * What is wrong with a package-lock.json: packages with a download address; packages with an install script, but for
 * optional ones that are for other systems than Linux and so are never installed here; and packages that others name and
 * that have no entry, with which `npm ci` refuses the whole file. That happens where a registry did not have some
 * system's part of a package when the file was made: take a version that it has all parts of.
 */
export function checkLockfile(text: string): readonly string[] {
  const lock = JSON.parse(text) as { readonly packages: Readonly<Record<string, Entry>> }; // npm's format, version 3
  return Object.entries(lock.packages).flatMap(([path, entry]) => {
    const problems: string[] = [];
    if (entry.resolved !== undefined) problems.push(`${path}: has a download address`);
    const elsewhere = entry.optional === true && entry.os !== undefined && !entry.os.includes('linux');
    if (entry.hasInstallScript === true && !elsewhere && !NEEDLESS_SCRIPTS.has(path)) problems.push(`${path}: has an install script`);
    const named = Object.keys({ ...entry.dependencies, ...entry.optionalDependencies });
    const missing = named.filter((name) => !isLocked(lock.packages, path, name));
    return [...problems, ...missing.map((name) => `${path}: needs ${name}, which has no entry`)];
  });
}

/** Whether `name`, as the package at `path` would find it, has an entry. */
function isLocked(packages: Readonly<Record<string, Entry>>, path: string, name: string): boolean {
  if (Object.hasOwn(packages, `${path}${path === '' ? '' : '/'}node_modules/${name}`)) return true;
  const up = path.lastIndexOf('/node_modules/');
  if (path === '') return false;
  return isLocked(packages, up < 0 ? '' : path.slice(0, up), name);
}

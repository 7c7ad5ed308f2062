type Entry = {
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
};

/** Packages whose install script does nothing that we need. */
const NEEDLESS_SCRIPTS = new Set([
  'node_modules/protobufjs', // prints a note about version ranges
]);

/**
 * What is wrong with a package-lock.json: packages with a download address, and packages with an install script, but for
 * optional ones that are for other systems than Linux and so are never installed here.
 */
export function checkLockfile(text: string): readonly string[] {
  const lock = JSON.parse(text) as { readonly packages: Readonly<Record<string, Entry>> }; // npm's format, version 3
  return Object.entries(lock.packages).flatMap(([path, entry]) => {
    const problems: string[] = [];
    if (entry.resolved !== undefined) problems.push(`${path}: has a download address`);
    const elsewhere = entry.optional === true && entry.os !== undefined && !entry.os.includes('linux');
    if (entry.hasInstallScript === true && !elsewhere && !NEEDLESS_SCRIPTS.has(path)) problems.push(`${path}: has an install script`);
    return problems;
  });
}

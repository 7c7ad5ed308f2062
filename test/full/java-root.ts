import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * What stands before a command so that it runs in a root directory of Debian's packages with a Java among them, in `dir`: it sees that
 * root, of the host's directories the temporary ones, the host's network, and of the environment what is given. Needs bubblewrap.
 */
export async function inJavaRoot(root: string, dir: string, env: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const java = (await readdir(join(root, 'usr/lib/jvm'))).find((name) => /^java-\d+-openjdk-/.test(name));
  const shared = ['/proc', tmpdir()].flatMap((path) => ['--bind', path, path]);
  const variables = Object.entries({ PATH: '/usr/bin', JAVA_HOME: `/usr/lib/jvm/${java}`, ...env });
  const set = variables.flatMap(([name, value]) => ['--setenv', name, value]);
  return ['bwrap', '--bind', root, '/', '--dev', '/dev', ...shared, '--clearenv', ...set, '--chdir', dir];
}

import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unitsIn, type Client, type Machine } from '../e2e/clients/client.ts';
import { writeFiles } from '../e2e/real-yard.ts';
import { run } from '../fixtures/run.ts';
import { toolDir } from '../fixtures/tool-dir.ts';
import { makeRoot } from './images.ts';

/** The release of Debian that has BuildStream 2, as a root directory of 290 MB. */
const RELEASE = 'forky';
const PACKAGES = ['base-files', 'base-passwd', 'bash', 'buildbox', 'buildstream', 'coreutils', 'dash', 'grep', 'mawk', 'sed'];

const rootOfBuildStream = () =>
  toolDir(`buildstream-${RELEASE}-${process.arch}`, (into, work) => makeRoot(into, PACKAGES, { release: RELEASE, work }));

const PROJECT = 'name: t\nmin-version: 2.0\nelement-path: elements\n';

/** Elements that import their source: they need no sandbox of BuildStream's own inside the one that its root directory is seen through. */
const elementOf = (unit: string, depends: string) => `kind: import
sources:
- kind: local
  path: ${unit}/src.txt
${depends}`;

/** Its configuration; it asks at the start whether it may push, and leaves a server alone that says no: a reader says so. */
const settingsOf = ({ dir, grpc, token, authorities }: Machine) => `artifacts:
  servers:
  - url: https://${grpc}
    instance-name: web/main
    push: ${token === 'writer'}
    auth:
      server-cert: ${authorities}
      access-token: ${join(dir, 'token')}
`;

/** BuildStream, which keeps artifacts by the Remote Asset API; a token goes over TLS. */
export const buildStream: Client = {
  name: 'BuildStream',
  unitsDir: '.',
  output: 'b/out/src.txt',
  install: async () => void (await rootOfBuildStream()),
  async prepare(machine) {
    await mkdir(join(machine.dir, 'home'), { recursive: true });
    await writeFile(join(machine.dir, 'token'), machine.token);
    await writeFiles(machine.dir, {
      'project.conf': PROJECT,
      'buildstream.conf': settingsOf(machine),
      'elements/a.bst': elementOf('a', ''),
      'elements/b.bst': elementOf('b', 'build-depends: [a.bst]\n'),
    });
  },
  async run({ dir }) {
    let code = 0;
    let text = '';
    for (const unit of ['a', 'b']) {
      for (const command of [
        ['build', `${unit}.bst`],
        ['artifact', 'checkout', `${unit}.bst`, '--directory', `${unit}/out`],
      ]) {
        const result = await bst(dir, command);
        code = Math.max(code, result.code);
        text += result.stdout + result.stderr;
      }
    }
    const found = unitsIn(text, /pull:(?<unit>[ab])\.bst +\] SUCCESS/g);
    return { code, text, found, built: unitsIn(text, /build:(?<unit>[ab])\.bst +\] SUCCESS t\//g) };
  },
};

/** Runs it in its root directory, with the host's network and temporary directories. */
async function bst(dir: string, command: readonly string[]) {
  const variables = { PATH: '/usr/bin', HOME: join(dir, 'home'), LC_ALL: 'C.UTF-8' };
  const set = Object.entries(variables).flatMap(([name, value]) => ['--setenv', name, value]);
  const mounts = ['--bind', await rootOfBuildStream(), '/', '--dev', '/dev', '--bind', '/proc', '/proc', '--bind', tmpdir(), tmpdir()];
  const own = ['bst', '--no-colors', '--no-interactive', '--config', 'buildstream.conf', ...command];
  return run('bwrap', ['--die-with-parent', ...mounts, '--clearenv', ...set, '--chdir', dir, ...own], { deadlineMs: 120_000 });
}

import { copyFile, cp, mkdir, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ROOT } from '../fixtures/root.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { downloadPackages, unpackPackages } from '../fixtures/debian.ts';
import type { Engine } from './engine.ts';
import { output } from '../fixtures/run.ts';

/** Names of images in the engine. */
export type Images = {
  /** Debian with a shell and what an agent's sandbox uses: the base of the image that is built from the Dockerfile. */
  readonly base: string;
  /** The same with Node and npm, and with npm's cache of what package-lock.json names, so that it installs without a network. */
  readonly node: string;
  /** Debian's redis-server, which listens on 6379 for everybody. */
  readonly redis: string;
  /** What the Dockerfile makes of the checkout. */
  readonly switchyard: string;
};

/** A shell with what the probes of testcontainers run, and what the Dockerfile would have apt install. */
const BASE_PACKAGES = [
  ...['base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'findutils', 'grep', 'libstdc++6', 'mawk', 'passwd', 'sed', 'util-linux'],
  ...['bubblewrap', 'ca-certificates', 'iproute2', 'tini'],
];

/** Makes them from Debian's packages and the host's own Node and npm: no registry of images is asked. */
export async function makeImages(engine: Engine): Promise<Images> {
  const named = (name: string) => `switchyard-test/${name}:local`;
  const images = { base: named('base'), node: named('node'), redis: named('redis'), switchyard: named('switchyard') };
  await using dir = await tempDir();
  const root = join(dir.path, 'root');
  await makeRoot(root, BASE_PACKAGES);
  await importRoot(engine, root, images.base, ['CMD ["bash"]']);
  await addNode(root);
  await importRoot(engine, root, images.node, ['ENV npm_config_prefer_offline=true', 'CMD ["node"]']);
  const redisRoot = join(dir.path, 'redis');
  await makeRoot(redisRoot, ['bash', 'coreutils', 'grep', 'mawk', 'redis-server', 'base-passwd', 'sed']);
  await mkdir(join(redisRoot, 'data'));
  await importRoot(engine, redisRoot, images.redis, ['WORKDIR /data', 'EXPOSE 6379', 'CMD ["redis-server", "--protected-mode", "no"]']);
  // Both bases have all that is needed: what asks for the network fails.
  const bases = ['--build-arg', `BASE=${images.base}`, '--build-arg', `NODE=${images.node}`];
  await output(engine.docker, ['--host', engine.host, 'build', '--network', 'none', ...bases, '--tag', images.switchyard, ROOT]);
  return images;
}

/**
 * A root directory of Debian's packages, of the host's release or of another one, with the few things that their scripts would have
 * made; `base-passwd` is one of the packages. What is downloaded lies in `work`, where that is given.
 */
export async function makeRoot(root: string, packages: readonly string[], other?: { readonly release?: string; readonly work: string }) {
  for (const dir of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', dir), { recursive: true });
    await symlink(`usr/${dir}`, join(root, dir));
  }
  await unpackPackages(await downloadPackages(packages, 'whole', other?.work, other?.release), root);
  await mkdir(join(root, 'tmp'), { recursive: true });
  await output('chmod', ['1777', join(root, 'tmp')]);
  for (const name of ['passwd', 'group']) {
    await copyFile(join(root, 'usr/share/base-passwd', `${name}.master`), join(root, 'etc', name));
  }
  await symlink('mawk', join(root, 'usr/bin/awk'));
  const authorities = join(root, 'usr/share/ca-certificates/mozilla');
  const files = await readdir(authorities).catch(() => []);
  const texts = await Promise.all(files.map((file) => readFile(join(authorities, file), 'utf8')));
  await mkdir(join(root, 'etc/ssl/certs'), { recursive: true });
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), texts.join(''));
  for (const dir of ['usr/share/doc', 'usr/share/man', 'usr/share/locale']) await rm(join(root, dir), { recursive: true, force: true });
}

/** Node, npm, and a filled cache of npm, at the places where the public images of Node have them. */
async function addNode(root: string): Promise<void> {
  const local = join(root, 'usr/local');
  await mkdir(join(local, 'bin'), { recursive: true });
  await copyFile(process.execPath, join(local, 'bin/node'));
  const npmCli = await realpath((await output('sh', ['-c', 'command -v npm'])).trim());
  await cp(dirname(dirname(npmCli)), join(local, 'lib/node_modules/npm'), { recursive: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
  await using project = await tempDir();
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) await copyFile(join(ROOT, file), join(project.path, file));
  await output('npm', ['ci', '--omit=dev', '--cache', join(root, 'root/.npm')], { cwd: project.path });
}

async function importRoot(engine: Engine, root: string, name: string, changes: readonly string[]): Promise<void> {
  const importing = 'root=$1; shift; tar -C "$root" --numeric-owner -c . | "$@"';
  const path = ['--change', 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
  const docker = [engine.docker, '--host', engine.host, 'import', ...path, ...changes.flatMap((change) => ['--change', change]), '-', name];
  await output('bash', ['-o', 'pipefail', '-c', importing, 'import', root, ...docker]);
}

import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Directories of the system that steps see read-only; the base system of `docs/sandboxes.md`. */
const SYSTEM_DIRECTORIES = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/**
 * What steps see of /etc: how programs are found and linked, certificates, and name tables that are the same everywhere.
 * Never: users, hosts, host name, mounts, machine id, private keys, configuration of the host's own services.
 */
const ETC_ENTRIES = [
  'alternatives',
  'ca-certificates',
  'ca-certificates.conf',
  'debian_version',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'mime.types',
  'os-release',
  'pki/ca-trust/extracted',
  'pki/tls/certs',
  'protocols',
  'services',
  'ssl/certs',
  'ssl/openssl.cnf',
];

/** The same everywhere: one user, and no host names but the loopback's. */
const SYNTHETIC_ETC = {
  passwd: 'root:x:0:0:root:/root:/sbin/nologin\nstep:x:1000:1000:step:/home/step:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
  group: 'root:x:0:\nstep:x:1000:\nnogroup:x:65534:\n',
  hosts: '127.0.0.1 localhost step\n::1 localhost step\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
  // The host's own takes this place for steps with network.
  'resolv.conf': '',
};

/** How a step sees the host's system directories, as arguments of bubblewrap. Links such as `/bin` stay links. */
export function systemBinds(): readonly string[] {
  return SYSTEM_DIRECTORIES.flatMap(bindOrLink);
}

/**
 * Makes the /etc that all steps see: copies, since each bind costs a step as much as starting a small program. What the
 * host changes later (new certificates) is seen after a restart.
 */
export function makeStepEtc(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  for (const [name, text] of Object.entries(SYNTHETIC_ETC)) writeFileSync(join(directory, name), text, { mode: 0o644 });
  for (const name of ETC_ENTRIES) {
    const from = join('/etc', name);
    if (!isReadable(from)) continue;
    mkdirSync(dirname(join(directory, name)), { recursive: true, mode: 0o755 });
    cpSync(from, join(directory, name), { recursive: true, verbatimSymlinks: true, filter: isReadable });
  }
}

/** The resolver's configuration, for steps with network. It is often a link to a place that the step does not see. */
export function resolverBinds(): readonly string[] {
  const path = '/etc/resolv.conf';
  return existsSync(path) ? ['--ro-bind', realpathSync(path), path] : [];
}

/**
 * Covers what root may write in /proc beside its processes, such as /proc/sys, as arguments of bubblewrap after `--proc`.
 * A step of an agent that runs as root is the host's root without capabilities, and the kernel asks many of these files
 * for no capability: with `kernel.core_pattern` alone it would run commands on the host. Steps of other users may not
 * write them anyway.
 */
export function kernelSettingsBinds(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const names = readdirSync('/proc').filter((name) => !/^[0-9]+$/.test(name));
  const paths = names.map((name) => join('/proc', name)).filter(holdsWritable);
  return paths.flatMap((path) => ['--ro-bind', path, path]);
}

/** Whether it is, or has in it, a file that its owner may write. */
function holdsWritable(path: string): boolean {
  try {
    const stat = lstatSync(path);
    if (stat.isDirectory()) return readdirSync(path).some((name) => holdsWritable(join(path, name)));
    return stat.isFile() && (stat.mode & 0o200) !== 0;
  } catch {
    return false; // gone, or not even for root to see
  }
}

/** Links count as readable, wherever they lead. */
function isReadable(path: string): boolean {
  try {
    if (lstatSync(path).isSymbolicLink()) return true;
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function bindOrLink(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  if (lstatSync(path).isSymbolicLink()) return ['--symlink', readlinkSync(path), path];
  return ['--ro-bind', path, path];
}

/** Whether steps see the real file behind `path`, given the further paths of the configuration. */
export function isVisible(path: string, readOnlyPaths: readonly string[]): boolean {
  const real = realpathSync(path);
  return [...SYSTEM_DIRECTORIES.map((directory) => (existsSync(directory) ? realpathSync(directory) : directory)), ...readOnlyPaths].some(
    (directory) => real === directory || real.startsWith(`${directory}/`),
  );
}

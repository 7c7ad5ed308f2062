import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

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

/** How a step sees the host's base system, as arguments of bubblewrap. Links such as `/bin` stay links. */
export function systemBinds(): readonly string[] {
  const args: string[] = [];
  for (const path of SYSTEM_DIRECTORIES) args.push(...bindOrLink(path));
  for (const name of ETC_ENTRIES) args.push(...bindOrLink(join('/etc', name)));
  return args;
}

/** The resolver's configuration, for steps with network. It is often a link to a place that the step does not see. */
export function resolverBinds(): readonly string[] {
  const path = '/etc/resolv.conf';
  return existsSync(path) ? ['--ro-bind', realpathSync(path), path] : [];
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

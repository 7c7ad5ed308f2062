import { isProject, isScope } from '../base/caller.ts';
import { Fault } from '../base/fault.ts';
import type { OptionSpec } from '../base/options.ts';
import { parseSizeBytes } from '../base/quantity.ts';
import { parseZone, type Zone } from '../base/zone.ts';
import type { Owner } from './store-index/store-index.ts';

/** The options that bound what scopes keep and for how long, for the tables of the data plane and of the coordinator that starts one. */
export const SCOPE_OPTIONS = {
  scopeQuota: {
    type: 'list',
    help:
      'Most that scopes keep, as <project>/<scope>=<bytes of blobs>:<entries>, such as web/main=20Gi:100000; <project>= for each other ' +
      'scope of a project, *= for each of all others. Beyond it a scope loses what it used least. Without one scopes share the room.',
  },
  scopeZone: {
    type: 'list',
    help:
      'The lowest zone whose agents may make what a scope keeps, as <project>/<scope>=<zone>, such as web/release=production; <project>= ' +
      'and *= as with quotas.',
  },
  keepUnused: {
    type: 'duration',
    default: '30d',
    min: 3_600_000,
    help: 'How long entries and blobs are kept that nobody uses. Beside it what was used least goes for want of room.',
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** Most that one owner may keep. */
export type Quota = { readonly blobBytes: number; readonly entryCount: number };

/** The quota of an owner; undefined where none was given. */
export type QuotaOf = (owner: Owner) => Quota | undefined;

/** The lowest zone whose agents' entries a scope takes and gives; undefined where none was given. */
export type FloorOf = (owner: Owner) => Zone | undefined;

/**
 * Quotas of the form `<project>/<scope>=<bytes>:<entries>`, such as `web/main=20Gi:100000`. `web=...` is for each scope of the project
 * that has none of its own, `*=...` for each scope of all projects; neither is a sum over scopes.
 * @throws {Fault} CONFIG_INVALID
 */
export function parseQuotas(texts: readonly string[]): QuotaOf {
  return byOwner(texts, '--scope-quota', '<bytes>:<entries>, such as 20Gi:100000', (text) => {
    const [bytes = '', count = '', ...rest] = text.split(':');
    const blobBytes = parseSizeBytes(bytes);
    if (blobBytes === undefined || !/^[1-9][0-9]{0,11}$/.test(count) || rest.length > 0) return undefined;
    return { blobBytes, entryCount: Number(count) };
  });
}

/**
 * Zones of the form `<project>/<scope>=<zone>`, for wider ones as with quotas. Scopes of our own begin with a dot (what no agent made is
 * kept there): they are meant only where they are named. @throws {Fault} CONFIG_INVALID
 */
export function parseFloors(texts: readonly string[]): FloorOf {
  const named = new Set(texts.map((text) => text.split('=')[0]));
  const floorOf = byOwner(texts, '--scope-zone', 'one of untrusted, trusted, production', parseZone);
  return (owner) => (owner.scope.startsWith('.') && !named.has(`${owner.project}/${owner.scope}`) ? undefined : floorOf(owner));
}

function byOwner<T>(
  texts: readonly string[],
  option: string,
  form: string,
  parse: (text: string) => T | undefined,
): (owner: Owner) => T | undefined {
  const known = new Map<string, T>();
  for (const text of texts) {
    const [owner = '', value = '', ...rest] = text.split('=');
    const slash = owner.indexOf('/');
    const [project, scope] = slash === -1 ? [owner, undefined] : [owner.slice(0, slash), owner.slice(slash + 1)];
    const isOwner = owner === '*' || (isProject(project) && (scope === undefined || isScope(scope)));
    const parsed = parse(value);
    if (!isOwner || parsed === undefined || rest.length > 0) {
      throw new Fault('CONFIG_INVALID', `${option} "${text}": want <project>/<scope>, <project> or *, then "=" and ${form}`, {
        field: option,
      });
    }
    if (known.has(owner)) throw new Fault('CONFIG_INVALID', `${option}: "${owner}" is given twice`, { field: option });
    known.set(owner, parsed);
  }
  return ({ project, scope }) => known.get(`${project}/${scope}`) ?? known.get(project) ?? known.get('*');
}

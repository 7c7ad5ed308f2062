import { Fault } from '../../base/fault.ts';
import { digestFrom, hashOf, sizeOf, type Digest } from '../digest.ts';

/** How the bytes of a ByteStream resource are encoded. */
export type Encoding = 'identity' | 'zstd';

/** What a ByteStream resource name stands for. `uuid` is there for writes. */
export type ResourceName = {
  readonly instance: string;
  readonly digest: Digest;
  readonly encoding: Encoding;
  readonly uuid: string | undefined;
};

/** Segments that end an instance name, hence cannot be in one. */
const RESERVED = new Set(['blobs', 'uploads', 'actions', 'actionResults', 'operations', 'capabilities', 'compressed-blobs']);

/** The name for reading a blob. */
export function readName(instance: string, digest: Digest): string {
  return `${instance === '' ? '' : `${instance}/`}blobs/${hashOf(digest)}/${sizeOf(digest)}`;
}

/** The name for writing a blob; `uuid` tells this upload from others of the caller. */
export function writeName(instance: string, digest: Digest, uuid: string): string {
  return `${instance === '' ? '' : `${instance}/`}uploads/${uuid}/blobs/${hashOf(digest)}/${sizeOf(digest)}`;
}

/** Whether `name` may be an instance name: no empty and no reserved segments. The empty name may. */
export function isInstanceName(name: string): boolean {
  return name === '' || name.split('/').every((segment) => segment !== '' && !RESERVED.has(segment));
}

/**
 * Takes a name of the Remote Execution API's grammar apart. Slashes too many are borne with: one client begins names of the
 * empty instance with one.
 * @throws {Fault} BAD_REQUEST; UNIMPLEMENTED for other digest functions and compressors.
 */
export function parseResourceName(name: string, purpose: 'read' | 'write'): ResourceName {
  const segments = name.split('/').filter((segment) => segment !== '');
  const first = segments.findIndex((segment) => RESERVED.has(segment));
  const instance = segments.slice(0, Math.max(first, 0)).join('/');
  let rest = segments.slice(Math.max(first, 0));
  let uuid: string | undefined;
  if (purpose === 'write') {
    if (rest[0] !== 'uploads' || rest[1] === undefined) throw malformed(name, purpose);
    uuid = rest[1];
    rest = rest.slice(2);
  }
  const [kind, ...tail] = rest;
  let encoding: Encoding = 'identity';
  if (kind === 'compressed-blobs') {
    const compressor = tail.shift();
    if (compressor !== 'zstd')
      throw new Fault('UNIMPLEMENTED', `Compressor "${compressor}" is not offered: use zstd`, { field: 'resource_name' });
    encoding = 'zstd';
  } else if (kind !== 'blobs') throw malformed(name, purpose);
  if (tail[0] !== undefined && /^[a-z][a-z0-9]*$/.test(tail[0]) && tail[0].length < 32) {
    if (tail[0] !== 'sha256')
      throw new Fault('UNIMPLEMENTED', `Digest function "${tail[0]}" is not offered: use SHA-256`, { field: 'resource_name' });
    tail.shift();
  }
  const [hash = '', size = '', ...more] = tail;
  const digest = /^(0|[1-9][0-9]{0,15})$/.test(size) ? digestFrom(hash, Number(size)) : undefined;
  if (digest === undefined || (purpose === 'read' && more.length > 0)) throw malformed(name, purpose);
  return { instance, digest, encoding, uuid };
}

function malformed(name: string, purpose: 'read' | 'write'): Fault {
  const form = purpose === 'read' ? '[<instance>/]blobs/<hash>/<size>' : '[<instance>/]uploads/<uuid>/blobs/<hash>/<size>';
  return new Fault(
    'BAD_REQUEST',
    `Resource name ${JSON.stringify(name.slice(0, 300))}: want ${form}, or with compressed-blobs/zstd for blobs`,
    {
      field: 'resource_name',
    },
  );
}

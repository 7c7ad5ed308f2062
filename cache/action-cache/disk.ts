import { hash } from 'node:crypto';
import fs from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { ioFault, type LruDir } from '../lru-dir.ts';
import { mayReplace, type ActionCache, type ActionEntry, type ActionKey } from './action-cache.ts';

/** Largest entry: a result with some ten thousand outputs. */
const ENTRY_BYTES_MAX = 16 * 1024 * 1024;

/** The first line of an entry's file; the result's bytes follow. */
type Header = { readonly writer: ActionEntry['writer']; readonly writtenAt: number; readonly sha256: string };

/** Entries in a directory of files, a partition per project. Each carries a checksum: a damaged one is removed, hence a miss. */
export function diskActionCache(files: LruDir): ActionCache {
  const nameOf = ({ scope, action }: ActionKey) => `${action}.${hash('sha256', scope, 'hex').slice(0, 32)}`;
  const read = (key: ActionKey): ActionEntry | undefined => {
    const name = nameOf(key);
    if (files.use(key.project, name) === undefined) return undefined;
    const bytes = readFile(files.pathOf(key.project, name));
    const entry = bytes === undefined ? undefined : decode(bytes);
    if (entry === undefined) files.remove(key.project, name);
    return entry;
  };
  return {
    async get(key, signal) {
      signal.throwIfAborted();
      return read(key);
    },
    async put(key, entry, signal) {
      signal.throwIfAborted();
      if (entry.result.byteLength > ENTRY_BYTES_MAX) throw new Fault('TOO_LARGE', `The result has more than ${ENTRY_BYTES_MAX} bytes`);
      const there = read(key);
      if (there !== undefined && !mayReplace(there, entry)) return there;
      const bytes = encode(entry);
      await files.write(key.project, nameOf(key), bytes.byteLength, (fd) => {
        try {
          for (let at = 0; at < bytes.byteLength;) at += fs.writeSync(fd, bytes, at);
        } catch (error) {
          throw ioFault(error, 'writing an action result');
        }
      });
      return entry;
    },
  };
}

function readFile(path: string): Buffer | undefined {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw ioFault(error, path);
  }
}

function encode(entry: ActionEntry): Buffer {
  const header: Header = { writer: entry.writer, writtenAt: entry.writtenAt, sha256: hash('sha256', entry.result, 'hex') };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), entry.result]);
}

function decode(bytes: Buffer): ActionEntry | undefined {
  const end = bytes.indexOf(0x0a);
  const header = end === -1 ? undefined : parseHeader(bytes.subarray(0, end).toString());
  if (header === undefined) return undefined;
  const result = bytes.subarray(end + 1);
  if (hash('sha256', result, 'hex') !== header.sha256) return undefined;
  return { result, writer: header.writer, writtenAt: header.writtenAt };
}

function parseHeader(text: string): Header | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null || !('writer' in json) || !('writtenAt' in json) || !('sha256' in json)) return undefined;
  const { writer, writtenAt, sha256 } = json;
  if (typeof writer !== 'object' || writer === null || !('kind' in writer) || !('name' in writer)) return undefined;
  const { kind, name } = writer;
  if ((kind !== 'executor' && kind !== 'client') || typeof name !== 'string') return undefined;
  if (typeof writtenAt !== 'number' || typeof sha256 !== 'string') return undefined;
  return { writer: { kind, name }, writtenAt, sha256 };
}

import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { writePrivate } from '../yard/tokens.ts';

/**
 * Remembers the key of a submission until its build has been followed to the end, so that the same submission after a
 * crash of ours finds the same build instead of starting another one.
 */
export type ResumeNote = {
  readonly key: string;
  /** Whether the key is one that an earlier run left. */
  readonly resumed: boolean;
  /** The build was followed to its end: the next run is a new one. */
  clear(): void;
};

/** The key for `request`, whatever else it holds, at `address`. */
export function resumeNote(stateDir: string, address: string, request: unknown): ResumeNote {
  const file = path.join(stateDir, 'run.json');
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([address.replace(/:\d+$/, ''), request]))
    .digest('hex');
  const left = readNote(file);
  const resumed = left?.fingerprint === fingerprint;
  const key = resumed ? left.key : randomUUID();
  if (!resumed) writePrivate(file, `${JSON.stringify({ key, fingerprint })}\n`);
  return { key, resumed, clear: () => fs.rmSync(file, { force: true }) };
}

function readNote(file: string): { readonly key: string; readonly fingerprint: string } | undefined {
  try {
    const json: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (typeof json !== 'object' || json === null || !('key' in json) || !('fingerprint' in json)) return undefined;
    const { key, fingerprint } = json;
    return typeof key === 'string' && typeof fingerprint === 'string' ? { key, fingerprint } : undefined;
  } catch {
    return undefined;
  }
}

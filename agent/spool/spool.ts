import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hash } from 'node:crypto';
import type { AttemptReport } from '../../cache/action/result.ts';
import type { Env } from '../../base/env.ts';
import { createAttemptLog, readAt, type AttemptLog } from './attempt-log.ts';
import { openJournal } from './journal.ts';

/** Who a lease is for; what the log says about it after a crash. */
export type SpooledLease = { readonly token: string; readonly build: string; readonly step: string; readonly attempt: number };

/** A result out of an earlier life of the agent. */
export type SpooledResult = { readonly token: string; readonly report: AttemptReport; readonly logBytes: number };

/**
 * What the agent must not forget, on disk and bounded: the leases it took, results that the coordinator has not answered
 * yet, and the logs of both. It survives a kill -9 of the agent.
 *
 * Calls are synchronous: each is one small write, and its return is what the next message relies on.
 */
export interface Spool extends Disposable {
  /** Unanswered results of earlier lives, oldest first. Their outputs were stored before they were spooled. */
  readonly results: readonly SpooledResult[];
  /** Leases of earlier lives whose attempts died with the agent: to be reported as nothing, they are not held. */
  readonly lost: readonly SpooledLease[];
  /** @throws {Error} the file system's, such as ENOSPC. */
  keepLease(lease: SpooledLease): void;
  /** @throws {Error} the file system's. */
  keepResult(token: string, report: AttemptReport): void;
  /** Drops everything about `token`, which need not be known. */
  forget(token: string): void;
  /** Starts the log of an attempt, at most `bytesMax` long. @throws {Error} the file system's. */
  createLog(token: string, bytesMax: number, onError: (error: unknown) => void): AttemptLog;
  /** Bytes of a log of this or an earlier life; empty where there are none. */
  readLog(token: string, offset: number, length: number): Uint8Array;
  /** Bytes of all logs together, as far as room was taken for them. */
  readonly usedBytes: number;
}

export type SpoolOptions = {
  /** Its own directory; made where it is missing. One process uses it at a time. */
  readonly dir: string;
  /** Most bytes of all logs together; beyond it logs are cut. */
  readonly bytesMax: number;
  readonly env: Env;
};

/** Opens the spool and drops the remains of attempts that died with an earlier life. @throws {Error} the file system's. */
export function openSpool({ dir, bytesMax, env }: SpoolOptions): Spool {
  const logDir = join(dir, 'logs');
  mkdirSync(logDir, { recursive: true });
  const journal = openJournal(dir);
  const logs = new Map<string, { readonly log: AttemptLog; reserved: number }>();
  const old = sortOut(journal.live, (token) => sizeOf(pathOf(token)));
  /** Results of earlier lives: their logs are there under their names, and not open. */
  const kept = new Set(old.results.map(({ token }) => token));
  const names = new Set([...kept].map(nameOf));
  for (const name of readdirSync(logDir)) if (!names.has(name)) rmSync(join(logDir, name), { force: true });
  for (const { token } of old.lost) journal.append({ kind: 'forgotten', token });
  let used = old.results.reduce((sum, { logBytes }) => sum + logBytes, 0);

  function pathOf(token: string): string {
    return join(logDir, nameOf(token));
  }
  return {
    ...old,
    get usedBytes() {
      return used;
    },
    keepLease: (lease) => journal.append({ kind: 'lease', ...lease }),
    keepResult: (token, report) => journal.append({ kind: 'result', token, report }),
    forget(token) {
      const entry = logs.get(token);
      // A token without a log is an attempt that never began one, or one of an earlier life.
      const path = entry !== undefined || kept.delete(token) ? pathOf(token) : undefined;
      used -= entry?.reserved ?? (path === undefined ? 0 : sizeOf(path));
      entry?.log.close();
      logs.delete(token);
      try {
        // Before its log goes: killed in between, a result without its log would be left, and not a log that nobody wants.
        if (journal.live.has(token)) journal.append({ kind: 'forgotten', token });
      } catch (error) {
        // On a full disk the result is offered once more after a restart, which is harmless.
        env.log.warn('spool-not-updated', { token, error });
      }
      if (path !== undefined) rmSync(path, { force: true });
    },
    createLog(token, logBytesMax, onError) {
      const reserve = (bytes: number): number => {
        const granted = Math.max(0, Math.min(bytes, bytesMax - used));
        used += granted;
        entry.reserved += granted;
        return granted;
      };
      const entry = { log: createAttemptLog({ path: pathOf(token), bytesMax: logBytesMax, reserve, onError }), reserved: 0 };
      logs.set(token, entry);
      return entry.log;
    },
    readLog: (token, offset, length) => logs.get(token)?.log.read(offset, length) ?? readFile(pathOf(token), offset, length),
    [Symbol.dispose]() {
      for (const { log } of logs.values()) log.close();
      journal[Symbol.dispose]();
    },
  };
}

function sortOut(live: ReturnType<typeof openJournal>['live'], logBytes: (token: string) => number): Pick<Spool, 'results' | 'lost'> {
  const results: SpooledResult[] = [];
  const lost: SpooledLease[] = [];
  for (const [token, { lease, report }] of live) {
    if (report !== undefined) results.push({ token, report, logBytes: logBytes(token) });
    else if (lease !== undefined) lost.push({ token, build: lease.build, step: lease.step, attempt: lease.attempt });
  }
  return { results, lost };
}

/** Tokens are opaque and may hold anything; file names may not. */
function nameOf(token: string): string {
  return `${hash('sha256', token, 'hex')}.log`;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function readFile(path: string, offset: number, length: number): Uint8Array {
  const size = sizeOf(path);
  if (offset >= size) return new Uint8Array(0);
  const fd = openSync(path, 'r');
  try {
    return readAt(fd, offset, Math.min(length, size - offset));
  } finally {
    closeSync(fd);
  }
}

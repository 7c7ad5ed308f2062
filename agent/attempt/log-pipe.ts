import { execFile } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../../base/fault.ts';

/** Made at once, so that a step seldom waits for one. */
const STOCK_SIZE = 8;
/** How long more is waited for, once the step has ended, while something still holds the pipe open. */
const DRAIN_TIMEOUT_MS = 500;
/** What still writes after as many of these, was not to be killed: it is no part of the step's log. */
const DRAIN_ROUNDS_MAX = 20;

/**
 * Where a step's output comes from. A pipe and not a file: a step that opens `/dev/stderr` anew must not truncate or
 * overwrite what it wrote before, and a step that writes without end must not fill the disk.
 */
export interface LogPipe extends Disposable {
  /** For the step: open for writing. */
  readonly writeFd: number;
  /** Closes our writing end and resolves once all bytes have been handed over. */
  drained(): Promise<void>;
}

/** Makes named pipes in a directory of its own, which it empties first. */
export interface LogPipes {
  /** `take` gets every chunk, in order. @throws {Fault} SANDBOX_UNAVAILABLE where the host cannot make pipes. */
  open(take: (bytes: Uint8Array) => void): Promise<LogPipe>;
}

const run = promisify(execFile);

export function openLogPipes(dir: string): LogPipes {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stock: string[] = [];
  let made = 0;
  let refilling: Promise<void> | undefined;
  async function make(): Promise<void> {
    const paths = Array.from({ length: STOCK_SIZE }, () => join(dir, String((made += 1))));
    try {
      await run('mkfifo', ['-m', '600', '--', ...paths], { env: { PATH: '/usr/bin:/bin' } });
    } catch (cause) {
      throw new Fault('SANDBOX_UNAVAILABLE', 'The log pipe of the attempt cannot be made', {
        cause,
        hint: 'Agents need the program mkfifo (coreutils).',
      });
    }
    stock.push(...paths);
  }
  const refill = () => (refilling ??= make().finally(() => (refilling = undefined)));
  return {
    async open(take) {
      let path = stock.pop();
      while (path === undefined) {
        await refill();
        path = stock.pop();
      }
      if (stock.length === 0) refill().catch(() => {}); // whoever needs one next is told
      try {
        return openLogPipe(path, take);
      } finally {
        rmSync(path, { force: true });
      }
    },
  };
}

function openLogPipe(path: string, take: (bytes: Uint8Array) => void): LogPipe {
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(path, constants.O_WRONLY | constants.O_APPEND);
  const reader = new Socket({ fd: readFd, readable: true, writable: false });
  const over = Promise.withResolvers<void>();
  reader.on('data', take);
  reader.on('close', () => over.resolve());
  reader.on('error', () => {}); // 'close' follows; what was read is what there is
  let open = true;
  const closeWriter = () => {
    if (open) closeSync(writeFd);
    open = false;
  };
  return {
    writeFd,
    async drained() {
      closeWriter();
      let taken = reader.bytesRead;
      let rounds = 0;
      const timeout = setInterval(() => {
        // A busy agent's timers ring before it has read what has long been there: it gets its turn to do so.
        setImmediate(() => {
          rounds += 1;
          if (reader.bytesRead === taken || rounds >= DRAIN_ROUNDS_MAX) reader.destroy();
          taken = reader.bytesRead;
        });
      }, DRAIN_TIMEOUT_MS);
      await over.promise;
      clearInterval(timeout);
    },
    [Symbol.dispose]() {
      closeWriter();
      reader.destroy();
    },
  };
}

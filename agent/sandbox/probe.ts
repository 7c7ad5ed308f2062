import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_RESOURCES } from '../../base/resources.ts';
import { reasonOf } from '../../base/thrown.ts';
import { removeTree } from '../workspace/remove.ts';
import { openLog } from './attempt.ts';
import type { Bind, SandboxExit, SandboxRun } from './sandbox.ts';

const PROBE_TIMEOUT_MS = 10_000;

export type Probe = {
  readonly command: readonly string[];
  readonly network: boolean;
  /** A directory of the name `bound`, which the command finds there. */
  readonly bindFrom?: string;
  /** Looks at the root that the command leaves; what it returns is a failure. */
  readonly after?: (root: string) => Promise<string | undefined>;
};

/**
 * Runs a command through `run`, as a step would be run. Undefined where it ended with 0, else what it said last, for people.
 */
export async function probe(
  directory: string,
  wanted: Probe,
  run: (spec: SandboxRun, signal: AbortSignal) => Promise<SandboxExit>,
): Promise<string | undefined> {
  const root = join(directory, 'root');
  const logPath = join(directory, 'log');
  mkdirSync(join(root, 'bound'), { recursive: true });
  const binds: readonly Bind[] = wanted.bindFrom === undefined ? [] : [{ from: wanted.bindFrom, to: 'bound' }];
  const lastLine = () => readFileSync(logPath, 'utf8').trim().split('\n').at(-1) ?? '';
  try {
    using log = openLog(logPath);
    const spec = { ...wanted, env: {}, root, workingDirectory: '', resources: NO_RESOURCES, logFd: log.fd, binds };
    try {
      const exit = await run({ ...spec, runTimeoutMs: PROBE_TIMEOUT_MS, graceMs: 0 }, new AbortController().signal);
      if (exit.kind !== 'exited') return `it did not end within ${PROBE_TIMEOUT_MS / 1000} s`;
      if (exit.code === 0) return await wanted.after?.(root);
      return lastLine() || `it ended with ${exit.code}`;
    } catch (error) {
      return lastLine() || reasonOf(error);
    }
  } finally {
    await removeTree(directory);
  }
}

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../../base/assert.ts';
import type { Env } from '../../base/env.ts';
import { isFault, type Fault } from '../../base/fault.ts';
import { openBubblewrapSandbox } from './open-bubblewrap.ts';
import { openProcessSandbox } from './open-process.ts';
import type { Sandbox } from './sandbox.ts';

export const SANDBOX_KINDS = ['auto', 'bubblewrap', 'process'] as const;
export type SandboxKind = (typeof SANDBOX_KINDS)[number];

export type SandboxOptions = {
  /** A directory of the agent's own for what attempts need beside their inputs; made if missing, emptied by nobody else. */
  readonly dir: string;
  /** Further host paths (absolute) that steps in `bubblewrap` see, read-only. */
  readonly readOnlyPaths: readonly string[];
  /** The agent's own PATH: programs on it that steps would not see are named in `missing`. */
  readonly hostPath: string;
};

/**
 * A sandbox that was tried. `auto` is bubblewrap where it works, else `process`, whose `missing` then says why.
 * @throws {Fault} SANDBOX_UNAVAILABLE where the host cannot offer what was asked for, with the reason.
 */
export async function openSandbox(kind: SandboxKind, options: SandboxOptions, env: Env): Promise<Sandbox> {
  mkdirSync(options.dir, { recursive: true });
  switch (kind) {
    case 'bubblewrap':
      return openBubblewrapSandbox({ ...options, dir: join(options.dir, 'bubblewrap') }, env);
    case 'process':
      return openProcessSandbox({ ...options, dir: join(options.dir, 'process') }, [], env);
    case 'auto':
      break;
    default:
      return unreachable(kind);
  }
  try {
    return await openSandbox('bubblewrap', options, env);
  } catch (error) {
    if (!isFault(error, 'SANDBOX_UNAVAILABLE')) throw error;
    return openProcessSandbox({ ...options, dir: join(options.dir, 'process') }, [notBubblewrap(error)], env);
  }
}

function notBubblewrap(fault: Fault): string {
  return `isolatesFiles: bubblewrap does not work here: ${fault.message}.`;
}

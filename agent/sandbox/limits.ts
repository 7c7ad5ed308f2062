import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { Cgroups } from './cgroup.ts';

/** Processes and threads of one attempt: far above what builds use, far below what a host bears. */
export const PIDS_COUNT_MAX = 4096;

/** What control groups add to a sandbox's guarantees, and a sentence for each that they do not. */
export function limitTraits(
  cgroups: Cgroups | undefined,
  reason: string,
): { readonly traits: readonly SandboxTrait[]; readonly missing: readonly string[] } {
  const why = cgroups === undefined ? reason : 'the controller is not available to this agent';
  const limits = [
    ['limitsMemory', cgroups?.limitsMemory === true],
    ['limitsPids', cgroups?.limitsPids === true],
  ] as const;
  return {
    traits: limits.filter(([, has]) => has).map(([trait]) => trait),
    missing: limits.filter(([, has]) => !has).map(([trait]) => `${trait}: ${why}.`),
  };
}

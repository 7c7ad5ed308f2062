import { SYSTEM_PATH } from '../spawn/tools.ts';

/**
 * The variables that every step has, under those that it declares itself. Nothing else is set: in particular no `CI`, no
 * user name, no time zone, nothing of the agent's.
 * - `PATH`: the system directories, after `pathPrefix`.
 * - `HOME`, `TMPDIR`: empty directories that belong to the attempt.
 * - `LANG`: `C.UTF-8`.
 */
export function stepEnv(
  declared: Readonly<Record<string, string>>,
  own: { readonly home: string; readonly tmp: string; readonly pathPrefix: readonly string[] },
): Readonly<Record<string, string>> {
  return {
    PATH: [...own.pathPrefix, SYSTEM_PATH].join(':'),
    HOME: own.home,
    TMPDIR: own.tmp,
    LANG: 'C.UTF-8',
    ...declared,
  };
}

import { Fault, isFault } from '../base/fault.ts';
import { suggest } from '../base/suggest.ts';
import type { BuildServer } from './rpc/client.ts';

/** Runs a call about one step; where the build has none of that name, the fault says which name may have been meant. */
export async function aboutStep<T>(
  server: BuildServer,
  build: string,
  step: string,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isFault(error, 'STEP_UNKNOWN')) throw error;
    const { steps } = await server.snapshot(build, signal);
    throw stepUnknown(
      step,
      steps.map(({ name }) => name),
    );
  }
}

const NAMES_MAX = 20;

/** STEP_UNKNOWN with the name that was most likely meant, else with all there are. */
export function stepUnknown(name: string, known: readonly string[]): Fault {
  const list = (names: readonly string[]) => `${names.slice(0, NAMES_MAX).join(', ')}${names.length > NAMES_MAX ? ', …' : ''}`;
  const combinations = known.filter((candidate) => candidate.startsWith(`${name}[`));
  const near = suggest(name, known) ?? suggest(name, new Set(known.map((candidate) => candidate.replace(/\[.*$/s, ''))));
  const hint =
    combinations.length > 0
      ? `It has a matrix: say which of ${list(combinations.map((one) => `"${one}"`))}.`
      : near === undefined
        ? `Its steps: ${list(known)}.`
        : `Did you mean "${near}"?`;
  return new Fault('STEP_UNKNOWN', `The build has no step "${name}"`, { hint });
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedFault } from './fault.ts';
import { reached, type Injected } from './inject.ts';
import type { Run } from './load.ts';

const HEALING_TRIES = 10;

/** Injects and heals what the schedule says; heals everything when the time is over. Answers how many were left out. */
export async function breakThings<K extends string>(
  run: Run,
  schedule: readonly PlannedFault<K>[],
  injectOne: (fault: PlannedFault<K>, held: ReadonlySet<string>) => Promise<Injected | undefined>,
): Promise<number> {
  const { env, originMs } = run;
  const held = new Set<string>();
  const healing: Promise<void>[] = [];
  let leftOut = 0;
  for (const fault of schedule) {
    if (!(await reached(originMs, fault.atMs, env.signal))) break;
    const injected = await injectOne(fault, held).catch((error: unknown) => {
      env.say(`${fault.kind} is left out: ${String(error)}`);
      return undefined;
    });
    if (injected === undefined) {
      leftOut += 1;
      continue;
    }
    held.add(injected.holds);
    run.faults.push(injected.record);
    run.recovery.onFault(injected.record);
    healing.push(healLater(run, injected, fault.atMs + fault.forMs).finally(() => held.delete(injected.holds)));
  }
  await Promise.all(healing);
  return leftOut;
}

async function healLater(run: Run, injected: Injected, atMs: number): Promise<void> {
  await reached(run.originMs, Math.min(atMs, run.options.durationMs), run.env.signal);
  for (let tries = 1; ; tries += 1) {
    try {
      await injected.heal();
      break;
    } catch (error) {
      run.env.say(`${injected.record.kind} is not healed yet: ${String(error)}`);
      if (tries >= HEALING_TRIES || run.env.signal.aborted) throw error;
      await sleep(1_000);
    }
  }
  run.recovery.onHeal(injected.record);
}

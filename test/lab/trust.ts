import { setTimeout as sleep } from 'node:timers/promises';
import { isFault } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { BuildSnapshot } from '../../cli/build-view.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { Endpoints } from '../chaos/endpoints.ts';
import type { CallerName } from './yard.ts';

/** What came of builds that ask for one and the same action from two scopes, of which one is trusted less. */
export type TrustTally = {
  /** Builds of each that have ended with a result. */
  readonly main: number;
  readonly fork: number;
  /** Results that each found in the cache: of the trusted scope by itself, and by the scope below it. */
  readonly mainHits: number;
  readonly forkHits: number;
  /** Builds that asked for more than a credential allows, or would have raised what an untrusted step made; refused as they must be. */
  readonly refused: number;
  readonly violations: readonly TrustViolation[];
};
export type TrustViolation = { readonly invariant: 'trust'; readonly where: string; readonly what: string };

/** Nobody makes the same bytes twice: whoever has these has them from who made them. */
const SHARED: StepSpec = {
  name: 'shared',
  command: ['sh', '-ec', "head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n' > made.out"],
  outputs: ['made.out'],
  selector: 'cluster=edge',
  resources: { slots: 1 },
  cacheable: true,
  sideEffects: false,
};

const EVERY_MS = 1_500;

export type TrustOptions = {
  readonly seed: number;
  readonly endpoints: Readonly<Record<CallerName, Endpoints>>;
  readonly prng: Prng;
  /** No more is submitted then; what was is waited for. */
  readonly until: AbortSignal;
  readonly signal: AbortSignal;
};

/**
 * For each number in turn the stranger asks first, then the team, then both again, while everything else goes on. What an agent made for
 * the stranger never becomes a result of the team's; the other way round it may. Now and then somebody asks
 * for what must be refused.
 */
export async function followTrust(options: TrustOptions): Promise<TrustTally> {
  const { endpoints, prng, until, signal, seed } = options;
  const violations: TrustViolation[] = [];
  const results: SharedResult[] = [];
  const waiting: Promise<void>[] = [];
  const counts = { main: 0, fork: 0, mainHits: 0, forkHits: 0, refused: 0 };
  const take = (who: CallerName, { build, steps: [step] }: BuildSnapshot) => {
    const output = step?.result?.outputs[0];
    if (step === undefined || output?.kind !== 'file') return;
    counts[who] += 1;
    const where = `${build.id}/${step.name}`;
    if (step.source === 'cache') counts[`${who}Hits`] += 1;
    results.push({ who, where, digest: output.digest, made: step.source === 'run' });
  };
  let raised = 0;
  for (let number = 0; !until.aborted && !signal.aborted; number += 1) {
    const ask = async (who: CallerName, turn: number) => {
      const key = `shop-trust-${seed}-${number}-${who}-${turn}`;
      const steps = [{ ...SHARED, salt: `lab-${seed}-${number}` }];
      const id = await endpoints[who].call(
        async (server, one) => (await server.submit({ idempotencyKey: key, name: key, weight: 1, steps }, one)).id,
        signal,
      );
      take(who, await endOf(endpoints[who], id, signal));
    };
    const turns = async () => {
      await ask('fork', 1);
      await Promise.all([ask('main', 1), ask('fork', 2)]);
      await Promise.all([ask('main', 2), ask('fork', 3)]);
    };
    waiting.push(turns().catch((error: unknown) => void (signal.aborted || violations.push(broken(`number ${number}`, String(error))))));
    if (prng.below(3) === 0) {
      const what = await asksForTooMuch(options, raised);
      raised += 1;
      if (what === undefined) counts.refused += 1;
      else violations.push(broken(`number ${number}`, what));
    }
    await sleep(EVERY_MS, undefined, { signal: AbortSignal.any([until, signal]) }).catch(() => {});
  }
  await Promise.all(waiting);
  return { ...counts, violations: [...violations, ...leaksIn(results)] };
}

/** A result of a step: for whom, where, what, and whether an agent made it for that build. */
export type SharedResult = { readonly who: CallerName; readonly where: string; readonly digest: string; readonly made: boolean };

/** Results of the team's that an agent made for the stranger. */
export function leaksIn(results: readonly SharedResult[]): readonly TrustViolation[] {
  const makers = new Map(results.flatMap((one) => (one.made ? [[one.digest, one] as const] : [])));
  return results.flatMap(({ who, where, digest }) => {
    const by = makers.get(digest);
    return who === 'main' && by?.who === 'fork' ? [broken(where, `has what ${by.where} made for a caller of less trust`)] : [];
  });
}

function broken(where: string, what: string): TrustViolation {
  return { invariant: 'trust', where, what };
}

async function endOf(endpoints: Endpoints, id: string, signal: AbortSignal): Promise<BuildSnapshot> {
  for (;;) {
    const snapshot = await endpoints.call((server, one) => server.snapshot(id, one), signal);
    if (snapshot.build.phase === 'ended') return snapshot;
    await sleep(500, undefined, { signal });
  }
}

/** Builds that the scheduler must refuse when they are submitted: for whom, and with what steps. */
const RAISED: readonly { readonly who: CallerName; readonly what: string; readonly steps: readonly StepSpec[] }[] = [
  { who: 'fork', what: 'a stranger has a step in the production zone', steps: [{ ...SHARED, selector: '', zone: 'ZONE_PRODUCTION' }] },
  {
    who: 'main',
    what: 'a production step takes what an untrusted one has made',
    steps: [SHARED, { ...SHARED, name: 'signed', selector: '', zone: 'ZONE_PRODUCTION', needs: [{ step: 'shared', outputs: true }] }],
  },
];

/** What was taken that should have been refused, or was refused in another way; undefined where all is well. */
async function asksForTooMuch({ endpoints, seed, signal }: TrustOptions, number: number): Promise<string | undefined> {
  const asked = RAISED[number % RAISED.length];
  if (asked === undefined) return undefined;
  const key = `shop-raised-${seed}-${number}`;
  try {
    const request = { idempotencyKey: key, name: key, weight: 1, steps: [...asked.steps] };
    await endpoints[asked.who].call(async (server, one) => (await server.submit(request, one)).id, signal);
    return asked.what;
  } catch (error) {
    return isFault(error, 'FORBIDDEN') || signal.aborted ? undefined : `was refused by ${String(error)}, and not as FORBIDDEN`;
  }
}

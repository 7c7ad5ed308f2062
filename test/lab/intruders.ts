import { setTimeout as sleep } from 'node:timers/promises';
import { LAB_CLUSTERS, type LabCluster } from './clusters.ts';
import type { LabYard } from './yard.ts';

/** What somebody tried who is no agent of the yard, and how it was answered. */
export type Intrusion = { readonly tried: string; readonly refused: boolean };

/** What an agent ends with that a coordinator has refused for good. */
const REFUSED = 'The coordinator refuses this agent';
/** For an end that never comes, on a machine that does other things too. */
const PATIENCE_MS = 60_000;

/** Agents that show or claim what is not theirs: each is refused for good. */
export async function tryIntruders(yard: LabYard): Promise<readonly Intrusion[]> {
  const [edge, production] = [clusterNamed('edge'), clusterNamed('production')];
  const all = [
    {
      tried: 'a certificate of the zone production, signed by the authority of untrusted',
      name: 'forged',
      as: production,
      by: 'untrusted',
    },
    { tried: 'an edge agent that registers as production-1', name: 'renamed', as: edge, by: 'untrusted', id: 'production-1' },
    { tried: 'a certificate that has expired', name: 'expired', as: edge, by: 'untrusted', lifeMs: -1_000 },
  ] as const;
  return Promise.all(
    all.map(async ({ tried, ...intruder }) => {
      await using process = yard.intruder(intruder);
      const ended = await Promise.race([process.ended, sleep(PATIENCE_MS, undefined, { ref: false })]);
      return { tried, refused: ended !== undefined && ended.code !== 0 && process.stderr().includes(REFUSED) };
    }),
  );
}

function clusterNamed(name: string): LabCluster {
  const found = LAB_CLUSTERS.find((cluster) => cluster.name === name);
  if (found === undefined) throw new Error(`There is no cluster ${name}`);
  return found;
}

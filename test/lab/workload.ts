import { prngFrom, type Prng } from '../../base/prng.ts';
import { digestOf } from '../../cache/digest.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { ObservedBuild } from '../chaos/observation.ts';
import { alone, lines, type ExpectedStep, type PlannedBuild, type Script, type WorkloadOptions } from '../chaos/workload.ts';
import { clusterOf, type LabCluster } from './clusters.ts';

/** Steps of a build of the laboratory, and where each of them may run: as the pipeline file beside this says it, with witnesses. */
const PLACES: Readonly<Record<string, { readonly says: string; readonly holds: (at: LabCluster) => boolean }>> = {
  build: { says: 'the zone trusted', holds: ({ zone }) => zone === 'trusted' },
  parity: { says: 'another zone than production, which is for its own steps', holds: ({ zone }) => zone !== 'production' },
  'test-edge': { says: 'the cluster edge', holds: ({ name }) => name === 'edge' },
  'test-central': { says: 'the cluster central', holds: ({ name }) => name === 'central' },
  package: { says: 'the zone production', holds: ({ zone }) => zone === 'production' },
};

/** What a later step takes of the first one's output. */
const TAKEN_BYTES = 2_000;

/**
 * Build number `index` of the seed: built once, tested in two clusters, both reports compared, and packed in the production zone by a step
 * with side effects. The same one for the same seed, whatever else happens.
 */
export function planLabBuild(index: number, { seed, witnessDir }: WorkloadOptions): PlannedBuild {
  const prng = prngFrom(seed * 1_000_003 + index);
  const key = `shop-${seed}-${index}`;
  const made = stepsOf(key, prng);
  const common = { env: { WITNESS: witnessDir }, resources: { slots: 1 }, cacheable: false, graceMs: 1_000 };
  const steps = made.map(({ name, needs, script, more }): StepSpec => ({
    ...common,
    name,
    command: ['sh', '-ec', `echo "start ${key}/${name}" >> "$WITNESS/starts"\n${script.text}`],
    // What untrusted steps have made is no input of production: it only waits for them.
    needs: needs.map((step) => ({ step, outputs: !(name === 'package' && step === 'parity') })),
    outputs: [`${name}.out`],
    sideEffects: false,
    ...more,
  }));
  const expected = made.map(({ name, needs, script, more }): ExpectedStep => ({
    name,
    kind: more.sideEffects === true ? 'effect' : 'plain',
    needs,
    critical: true,
    log: digestOf(script.log),
    outputs: new Map([[`${name}.out`, digestOf(script.output)]]),
  }));
  return { key, steps: expected, request: { idempotencyKey: key, name: key, labels: { lab: String(seed) }, weight: 1, steps } };
}

type Made = { readonly name: string; readonly needs: readonly string[]; readonly script: Script; readonly more: StepSpec };

function stepsOf(key: string, prng: Prng): readonly Made[] {
  const slowly = prng.below(3) === 0 ? '0.3' : '';
  const build = lines({ name: 'build', tag: `${key}/build`, count: 5 + prng.below(20), everyS: slowly });
  const test = (cluster: 'edge' | 'central'): Made => {
    const name = `test-${cluster}`;
    const output = Buffer.from(build.output.subarray(0, TAKEN_BYTES).toString('latin1').toUpperCase(), 'latin1');
    const wait = prng.below(3) === 0 ? 'sleep 2; ' : '';
    const text = `${wait}head -c ${TAKEN_BYTES} build.out | tr a-z A-Z | tee ${name}.out`;
    return { name, needs: ['build'], script: { text, log: output, output }, more: { selector: `cluster=${cluster}` } };
  };
  const [edge, central] = [test('edge'), test('central')];
  const parity: Made = {
    name: 'parity',
    needs: ['test-edge', 'test-central'],
    script: {
      text: 'cmp test-edge.out test-central.out\ncat test-edge.out > parity.out',
      log: Buffer.alloc(0),
      output: edge.script.output,
    },
    more: {},
  };
  const pack = alone(lines({ name: 'package', tag: `${key}/package`, count: 3 + prng.below(6), everyS: '0.2' }), `${key}/package`);
  return [
    { name: 'build', needs: [], script: build, more: { zone: 'ZONE_TRUSTED' } },
    edge,
    central,
    parity,
    { name: 'package', needs: ['build', 'parity'], script: pack, more: { zone: 'ZONE_PRODUCTION', sideEffects: true } },
  ];
}

/** No attempt of a step was anywhere but where the step may run; and what both clusters made of one build is the same. */
export function checkPlaces({
  id,
  snapshot,
}: ObservedBuild): readonly { readonly invariant: 'zones' | 'parity'; readonly where: string; readonly what: string }[] {
  if (snapshot === undefined) return [];
  const misplaced = snapshot.steps.flatMap((step) => {
    const place = PLACES[step.name];
    if (place === undefined) return [];
    const wrong = step.attempts.filter(({ agent }) => {
      const at = clusterOf(agent);
      return at === undefined || !place.holds(at);
    });
    return wrong.map(({ number, agent }) => {
      const what = `attempt ${number} was on ${agent}, and it may run in ${place.says} only`;
      return { invariant: 'zones', where: `${id}/${step.name}`, what } as const;
    });
  });
  const digests = ['test-edge', 'test-central'].flatMap((name) => {
    const output = snapshot.steps.find((step) => step.name === name)?.result?.outputs[0];
    return output?.kind === 'file' ? [output.digest] : [];
  });
  if (new Set(digests).size <= 1) return misplaced;
  return [...misplaced, { invariant: 'parity', where: id, what: `two clusters made ${digests.join(' and ')} of one build` }];
}

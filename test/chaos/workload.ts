import { prngFrom, type Prng } from '../../base/prng.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import type { StepSpec } from '../../proto/gen/switchyard/v1/StepSpec.ts';
import type { SubmitBuildRequest } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';

/**
 * `plain` logs and leaves a file; `slow` does so over seconds; `gather` reads what others left; `effect` changes the world
 * outside and may not run twice at once; `cacheable` may be answered from the cache or merged; `failing` ends with code 3.
 */
export type StepKind = 'plain' | 'slow' | 'gather' | 'effect' | 'cacheable' | 'failing';

/** What a step must leave, byte by byte, however often it had to be tried. */
export type ExpectedStep = {
  readonly name: string;
  readonly kind: StepKind;
  readonly needs: readonly string[];
  readonly critical: boolean;
  readonly log: Digest;
  /** Path to digest. */
  readonly outputs: ReadonlyMap<string, Digest>;
};

/** A build of the workload, and what must come of it. */
export type PlannedBuild = {
  readonly request: SubmitBuildRequest;
  readonly key: string;
  readonly steps: readonly ExpectedStep[];
};

export type WorkloadOptions = {
  readonly seed: number;
  /** A directory of the host, which all steps can write, for what they witness of themselves. */
  readonly witnessDir: string;
};

/** Builds have 1 to so many steps. */
const STEPS_MAX = 8;
/** Different cacheable steps; later ones with the same number are the same action. */
const CACHEABLE_KINDS = 40;
/** What later steps take of an earlier one's output, so that chains do not grow. */
const GATHERED_BYTES = 2_000;

const WEIGHTS: readonly (readonly [StepKind, number])[] = [
  ['plain', 35],
  ['gather', 20],
  ['slow', 15],
  ['effect', 10],
  ['cacheable', 15],
  ['failing', 5],
];

/** Build number `index` of the seed: the same one for the same seed, whatever else happens. */
export function planBuild(index: number, options: WorkloadOptions): PlannedBuild {
  const prng = prngFrom(options.seed * 1_000_003 + index);
  const key = `chaos-${options.seed}-${index}`;
  const made: Made[] = [];
  const count = 1 + prng.below(STEPS_MAX);
  for (let number = 0; number < count; number += 1) made.push(makeStep(`s${number}`, `${key}/s${number}`, made, prng, options));
  const steps = made.map(({ spec }) => spec);
  const request: SubmitBuildRequest = { idempotencyKey: key, name: key, labels: { chaos: String(options.seed) }, weight: 1, steps };
  return { request, key, steps: made.map(({ expected }) => expected) };
}

type Made = { readonly spec: StepSpec; readonly expected: ExpectedStep; readonly output: Buffer };
export type Script = { readonly text: string; readonly log: Buffer; readonly output: Buffer };

function makeStep(name: string, tag: string, earlier: readonly Made[], prng: Prng, options: WorkloadOptions): Made {
  const needs = drawNeeds(earlier, prng);
  const kind = drawKind(prng, needs);
  const script = scriptOf(kind, name, tag, needs, prng);
  const critical = kind !== 'failing' || prng.below(2) === 0;
  const witnessed = kind !== 'cacheable';
  const outputs = kind === 'failing' ? [] : [`${name}.out`];
  const spec: StepSpec = {
    name,
    command: ['sh', '-ec', witnessed ? `echo "start ${tag}" >> "$WITNESS/starts"\n${script.text}` : script.text],
    env: witnessed ? { WITNESS: options.witnessDir } : {},
    needs: needs.map(({ expected }) => ({ step: expected.name, outputs: true })),
    outputs,
    resources: { slots: 1 },
    cacheable: kind === 'cacheable',
    salt: kind === 'cacheable' ? `chaos-${options.seed}` : '',
    sideEffects: kind === 'effect',
    critical,
    graceMs: 1_000,
  };
  const expected: ExpectedStep = {
    name,
    kind,
    needs: needs.map((need) => need.expected.name),
    critical,
    log: digestOf(script.log),
    outputs: new Map(outputs.map((path) => [path, digestOf(script.output)])),
  };
  return { spec, expected, output: script.output };
}

function drawNeeds(earlier: readonly Made[], prng: Prng): readonly Made[] {
  const left = earlier.filter(({ expected }) => expected.kind !== 'failing' || prng.below(4) === 0);
  const count = Math.min(left.length, prng.below(3));
  const drawn: Made[] = [];
  for (let number = 0; number < count; number += 1) drawn.push(...left.splice(prng.below(left.length), 1));
  return drawn;
}

function drawKind(prng: Prng, needs: readonly Made[]): StepKind {
  let number = prng.below(WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [kind, weight] of WEIGHTS) {
    number -= weight;
    if (number >= 0) continue;
    // Whoever gathers needs something; whoever is cached asks for the same inputs each time, which is none.
    if (kind === 'gather' && needs.length === 0) return 'plain';
    return kind === 'cacheable' && needs.length > 0 ? 'gather' : kind;
  }
  return 'plain';
}

function scriptOf(kind: StepKind, name: string, tag: string, needs: readonly Made[], prng: Prng): Script {
  switch (kind) {
    case 'plain':
      return lines({ name, tag, count: 5 + prng.below(60), everyS: '' });
    case 'slow':
      return lines({ name, tag, count: 10 + prng.below(20), everyS: '0.3' });
    case 'effect':
      return alone(lines({ name, tag, count: 4 + prng.below(12), everyS: '0.2' }), tag);
    case 'cacheable':
      return lines({ name, tag: `cacheable ${prng.below(CACHEABLE_KINDS)} ${name}`, count: 4, everyS: '0.1' });
    case 'failing': {
      const script = lines({ name, tag, count: 3, everyS: '' });
      return { ...script, text: `${script.text}\nexit 3` };
    }
    case 'gather':
      return gather(name, needs);
  }
}

/** Numbered lines and two bytes that are no text into the log, and an output of some thousand bytes. */
export function lines(what: { name: string; tag: string; count: number; everyS: string }): Script {
  const { name, tag, count, everyS } = what;
  const pause = everyS === '' ? '' : `sleep ${everyS}; `;
  const text = `i=0; while [ $i -lt ${count} ]; do echo "${tag} line $i"; ${pause}i=$((i+1)); done
printf '\\000\\377'
i=0; while [ $i -lt ${count * 4} ]; do echo "output $i of ${tag}"; i=$((i+1)); done > ${name}.out`;
  const numbered = (many: number, line: (index: number) => string) => Array.from({ length: many }, (_, index) => line(index)).join('');
  return {
    text,
    log: Buffer.concat([Buffer.from(numbered(count, (index) => `${tag} line ${index}\n`)), Buffer.from([0, 255])]),
    output: Buffer.from(numbered(count * 4, (index) => `output ${index} of ${tag}\n`)),
  };
}

/** The lock is held for as long as anything of the attempt lives: the kernel lets go of it, not the step. */
export function alone(script: Script, tag: string): Script {
  const lock = tag.replaceAll('/', '-');
  const text = `exec 9>> "$WITNESS/${lock}.lock"; flock -n 9 || echo "overlap ${tag}" >> "$WITNESS/overlaps"
${script.text}
echo "end ${tag}" >> "$WITNESS/ends"`;
  return { ...script, text };
}

function gather(name: string, needs: readonly Made[]): Script {
  const files = needs.map(({ expected }) => `${expected.name}.out`).join(' ');
  const all = Buffer.concat(needs.map(({ output }) => output));
  return {
    text: `cat ${files} | head -c ${GATHERED_BYTES} | tee ${name}.out`,
    log: all.subarray(0, GATHERED_BYTES),
    output: all.subarray(0, GATHERED_BYTES),
  };
}

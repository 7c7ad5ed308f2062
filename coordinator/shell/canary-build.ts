import { SANDBOX_TRAITS, type SandboxTrait } from '../../base/sandbox-trait.ts';
import { parseZone, ZONES, type Zone } from '../../base/zone.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { buildTree } from '../../cache/tree/build.ts';
import { CANARY_PROJECT, type Topology } from '../../topology/model.ts';
import { CANARY_SCOPE } from '../core/canary.ts';
import type { BuildId } from '../core/ids.ts';
import { DEFAULT_RETRY, type BuildSpec, type RetryPolicy } from '../core/spec.ts';
import type { AgentView } from '../core/view.ts';

/** What a canary build is: one step that takes a file from the cache, leaves another one there, and tries what it must not do. */

const INPUT = 'in';
export const OUTPUT = 'out';

/** What the step's exit codes say beside failures of the shell itself. */
export const EXITS: Readonly<Record<number, string>> = {
  3: 'its input had other bytes than were put into the cache',
  4: 'a route led out of it, although its network was off',
  5: 'it could write into the directory /usr of the host',
};

/** Only what a shell does by itself, so that nothing else need be there. */
const READ = `read -r value < ${INPUT} && [ "$value" = "$EXPECTED" ] || exit 3`;
const WRITE = `printf 'seen %s\\n' "$value" > ${OUTPUT}`;
/** What must be denied, by the trait that promises it. A network of its own has a table of routes with nothing but its heading. */
const DENIED: Partial<Readonly<Record<SandboxTrait, string>>> = {
  isolatesNetwork: 'if [ -r /proc/net/route ]; then { read -r _; if read -r route; then echo "$route"; exit 4; fi; } < /proc/net/route; fi',
  isolatesFiles: 'if (: > /usr/.switchyard-canary) 2> /dev/null; then rm -f /usr/.switchyard-canary; exit 5; fi',
};

/** Another agent may try where our side errs: one that is broken is kept from steps by its own breaker. */
const RETRY: RetryPolicy = {
  limits: { ...DEFAULT_RETRY.limits, 'agent-lost': 1, 'agent-stop': 3, 'sandbox-error': 1, 'cache-error': 1 },
  initialMs: 100,
  maxMs: 1_000,
};

/** What the build with that id has in its file, and must leave. Every build has bytes of its own, so that no cache knows them. */
export function canaryInputs(id: BuildId): {
  readonly root: Digest;
  readonly bytes: number;
  readonly blobs: ReadonlyMap<Digest, Uint8Array>;
} {
  const file = new TextEncoder().encode(`${id}\n`);
  const digest = digestOf(file);
  const { root, encoded } = buildTree([{ kind: 'file', path: INPUT, digest, executable: false }]);
  return { root, bytes: file.byteLength, blobs: new Map([[digest, file], ...encoded]) };
}

export function canaryOutput(id: BuildId): Digest {
  return digestOf(new TextEncoder().encode(`seen ${id}\n`));
}

/** Labels of agents of `<cluster>/<pool>`; '' for one that they do not have. */
export function poolLabels(name: string): { readonly cluster: string; readonly pool: string } {
  const slash = name.lastIndexOf('/');
  return { cluster: name.slice(0, slash), pool: name.slice(slash + 1) };
}

export type CanarySketch = {
  readonly pool: string;
  readonly id: BuildId;
  readonly root: Digest;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** Connected agents of the pool: at least one. */
  readonly members: readonly AgentView[];
  readonly topology: Topology;
};

export function canaryBuild({ pool, id, root, bytes, timeoutMs, members, topology }: CanarySketch): BuildSpec {
  // What some of them only promise cannot be asked of the pool.
  const traits = SANDBOX_TRAITS.filter(
    (trait) => DENIED[trait] !== undefined && members.every(({ facts }) => facts.sandbox.includes(trait)),
  );
  const { cluster, pool: name } = poolLabels(pool);
  const checks = traits.flatMap((trait) => DENIED[trait] ?? []);
  return {
    name: 'canary',
    project: CANARY_PROJECT,
    scope: CANARY_SCOPE,
    zoneCeiling: 'production',
    submittedBy: 'switchyard',
    labels: { pool },
    weight: 1,
    timeoutMs: undefined,
    failFast: false,
    steps: [
      {
        name: 'canary',
        command: ['/bin/sh', '-c', [READ, ...checks, WRITE].join('\n')],
        env: { EXPECTED: id },
        passEnv: [],
        workingDirectory: '',
        inputRoot: root,
        inputBytes: bytes,
        needs: [],
        outputs: [OUTPUT],
        selector: `${cluster === '' ? '!cluster' : `cluster=${cluster}`}, pool=${name}`,
        resources: { cpuMillis: 0, memoryBytes: 0, slots: 1, custom: {} },
        zone: zoneFor(members, topology),
        sandbox: traits,
        canary: true,
        network: false,
        cacheable: false,
        salt: '',
        sideEffects: false,
        critical: true,
        onLag: undefined,
        runIf: 'succeeded',
        priority: 0,
        queueTimeoutMs: undefined,
        runTimeoutMs: timeoutMs,
        totalTimeoutMs: undefined,
        graceMs: 1_000,
        retry: RETRY,
      },
    ],
  };
}

/** The lowest, but where agents take steps for their own zone only. */
function zoneFor(members: readonly AgentView[], { zones = {} }: Topology): Zone {
  const own = parseZone(members[0]?.labels['zone'] ?? '') ?? ZONES[0];
  return zones[own]?.exclusive === true ? own : ZONES[0];
}

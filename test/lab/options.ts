import { parseArgs } from 'node:util';
import { Fault } from '../../base/fault.ts';
import { probe } from '../fixtures/host.ts';
import { aboutFault, LAB_FAULTS, type LabFault } from './faults.ts';
import { badOption, countOf, durationOf } from '../chaos/option-values.ts';

export type LabOptions = {
  readonly seed: number;
  /** Of load and faults; the pipeline and the measurement of isolation come before, healing, ending and checking after it. */
  readonly durationMs: number;
  /** Steps submitted per second. */
  readonly rate: number;
  readonly kinds: readonly LabFault[];
  /** Mean time between two faults. */
  readonly everyMs: number;
  /** Of each of the two measurements of isolation; 0 for none. */
  readonly isolationMs: number;
  readonly s3: 'real' | 'fake';
  readonly leaseTtlMs: number;
  readonly termTtlMs: number;
  /** Whether processes' logs and data stay where they are. */
  readonly keep: boolean;
  readonly json: boolean;
};

export const LAB_HELP = `Three clusters on network namespaces of their own, with the delays of their links, two coordinators on one Redis and one bucket, and
twelve agents, over mutual TLS. Runs a pipeline over all of them, measures how little a flood in one zone is felt in another, then cuts
links and kills processes as a seed says while builds go on, and checks what came of it. Ends with 1 where something is wrong. Needs
root, ip and nft.

  npm run lab -- --seed N --duration 5m

  --seed N            decides builds, faults and their times [1]
  --duration D        how long load and faults last [5m]
  --rate N            steps submitted per second [4]
  --faults A,B,...    only these; "none" for none [all]
  --every D           mean time between two faults [10s]
  --isolation D       how long each of the two measurements of isolation lasts; 0s for none [30s]
  --s3 KIND           real (Ceph, or what SWITCHYARD_TEST_S3 names) or fake (the small one of our tests) [real]
  --lease-ttl D       [15s]
  --term-ttl D        [3s]
  --keep              keep the logs and data of all processes
  --json              print the report as JSON

Faults:
${LAB_FAULTS.map((kind) => `  ${kind.padEnd(18)}  ${aboutFault(kind)}`).join('\n')}
`;

/** @throws {Fault} CONFIG_INVALID naming the option, or what the host lacks. */
export function parseLabOptions(argv: readonly string[]): LabOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: '1' },
      duration: { type: 'string', default: '5m' },
      rate: { type: 'string', default: '4' },
      faults: { type: 'string', default: 'all' },
      every: { type: 'string', default: '10s' },
      isolation: { type: 'string', default: '30s' },
      s3: { type: 'string', default: 'real' },
      'lease-ttl': { type: 'string', default: '15s' },
      'term-ttl': { type: 'string', default: '3s' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.s3 !== 'real' && values.s3 !== 'fake') throw badOption('--s3', `"${values.s3}" must be real or fake`);
  return {
    seed: countOf('--seed', values.seed, 0, 2 ** 31),
    durationMs: durationOf('--duration', values.duration, 1_000),
    rate: countOf('--rate', values.rate, 1, 1_000),
    kinds: kindsOf(values.faults),
    everyMs: durationOf('--every', values.every, 100),
    isolationMs: durationOf('--isolation', values.isolation, 0),
    s3: values.s3,
    leaseTtlMs: durationOf('--lease-ttl', values['lease-ttl'], 1_000),
    termTtlMs: durationOf('--term-ttl', values['term-ttl'], 500),
    keep: values.keep,
    json: values.json,
  };
}

/** @throws {Fault} CONFIG_INVALID saying what the host lacks for network namespaces, and what to do. */
export function checkHost(): void {
  const answer = probe('netns');
  if (answer.kind === 'yes') return;
  const hint = 'Run it as root on Linux with iproute2 and nftables installed: "sudo npm run lab"; in a container with --privileged.';
  throw new Fault('CONFIG_INVALID', `The laboratory makes network namespaces, which cannot be had here: ${answer.why}. ${hint}`, { hint });
}

function kindsOf(text: string): readonly LabFault[] {
  if (text === 'all') return LAB_FAULTS;
  if (text === 'none') return [];
  return text.split(',').map((word) => {
    const kind = LAB_FAULTS.find((known) => known === word);
    if (kind === undefined) throw badOption('--faults', `"${word}" is no fault; "--help" lists them`);
    return kind;
  });
}

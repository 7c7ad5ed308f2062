import { parseArgs } from 'node:util';
import { probe } from '../fixtures/host.ts';
import { ALL_FAULTS, FAULT_KINDS, type FaultKind } from './fault.ts';
import { badOption, countOf, durationOf } from './option-values.ts';

export type ChaosOptions = {
  readonly seed: number;
  /** Of the load; healing, ending and checking come after it. */
  readonly durationMs: number;
  readonly agents: number;
  readonly coordinators: number;
  readonly ledger: 'redis' | 'sqlite';
  /** Steps submitted per second. */
  readonly rate: number;
  readonly kinds: readonly FaultKind[];
  /** Mean time between two faults. */
  readonly everyMs: number;
  readonly leaseTtlMs: number;
  readonly termTtlMs: number;
  /** Whether each process is on a network host of its own. */
  readonly net: boolean;
  /** Whether processes' logs and data stay where they are. */
  readonly keep: boolean;
  /** Where the report is written as JSON. */
  readonly report: string | undefined;
};

/** Shortest time that an option takes. */
const DURATION_MS_MIN = 100;

const REMARKS: Readonly<Record<string, string>> = { asking: ' (only if named)', net: ' (only with --net)' };

export const CHAOS_HELP = `Runs Redis, coordinators and agents as real processes under a constant load, breaks them as a seed says,
heals them, and checks that nothing was lost and nothing done twice. Ends with 1 where something was.

  npm run chaos -- --seed N --duration 60s

  --seed N            decides builds, faults and their times [1]
  --duration D        how long the load lasts [60s]
  --agents N          agents of three slots each [4]
  --coordinators N    one leads, the others follow [2; 1 with --ledger sqlite]
  --ledger L          redis or sqlite [redis]
  --rate N            steps submitted per second [4]
  --faults A,B,...    only these; "all" for all that ask for nothing special [all]
  --every D           mean time between two faults [8s]
  --lease-ttl D       [15s]
  --term-ttl D        [3s]
  --net               processes in network namespaces, between which packets are dropped; needs root, ip and nft
  --keep              keep the logs and data of all processes
  --report FILE       write the report as JSON, too

Faults:
${ALL_FAULTS.map((kind) => `  ${kind.padEnd(18)}  ${FAULT_KINDS[kind].about}${REMARKS[FAULT_KINDS[kind].needs] ?? ''}`).join('\n')}
`;

/** @throws {Fault} CONFIG_INVALID naming the option. */
export function parseChaosOptions(argv: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: '1' },
      duration: { type: 'string', default: '60s' },
      agents: { type: 'string', default: '4' },
      coordinators: { type: 'string' },
      ledger: { type: 'string', default: 'redis' },
      rate: { type: 'string', default: '4' },
      faults: { type: 'string', default: 'all' },
      every: { type: 'string', default: '8s' },
      'lease-ttl': { type: 'string', default: '15s' },
      'term-ttl': { type: 'string', default: '3s' },
      net: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      report: { type: 'string' },
    },
  });
  const ledger = values.ledger;
  if (ledger !== 'redis' && ledger !== 'sqlite') throw badOption('--ledger', `"${ledger}" must be redis or sqlite`);
  const coordinators = countOf('--coordinators', values.coordinators ?? (ledger === 'sqlite' ? '1' : '2'), 1, 9);
  if (ledger === 'sqlite' && coordinators > 1) throw badOption('--coordinators', 'must be 1 with --ledger sqlite');
  return {
    seed: countOf('--seed', values.seed, 0, 2 ** 31),
    durationMs: durationOf('--duration', values.duration, DURATION_MS_MIN),
    agents: countOf('--agents', values.agents, 1, 64),
    coordinators,
    ledger,
    rate: countOf('--rate', values.rate, 1, 1_000),
    kinds: kindsOf(values.faults, values.net),
    everyMs: durationOf('--every', values.every, DURATION_MS_MIN),
    leaseTtlMs: durationOf('--lease-ttl', values['lease-ttl'], DURATION_MS_MIN),
    termTtlMs: durationOf('--term-ttl', values['term-ttl'], DURATION_MS_MIN),
    net: netOf(values.net),
    keep: values.keep,
    report: values.report,
  };
}

function netOf(wanted: boolean): boolean {
  const answer = wanted ? probe('netns') : undefined;
  if (answer?.kind === 'no') throw badOption('--net', `cannot be had here (${answer.why})`);
  return wanted;
}

function kindsOf(text: string, net: boolean): readonly FaultKind[] {
  if (text === 'all')
    return ALL_FAULTS.filter((kind) => FAULT_KINDS[kind].needs !== 'asking' && (net || FAULT_KINDS[kind].needs !== 'net'));
  if (text === 'none') return [];
  return text.split(',').map((word) => {
    const kind = ALL_FAULTS.find((known) => known === word);
    if (kind === undefined) throw badOption('--faults', `"${word}" is no fault; "--help" lists them`);
    if (FAULT_KINDS[kind].needs === 'net' && !net) throw badOption('--faults', `"${word}" needs --net`);
    return kind;
  });
}

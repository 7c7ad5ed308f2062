import { parseArgs } from 'node:util';
import { systemClock } from '../../base/clock.ts';
import { jsonLogger } from '../../base/log.ts';
import { circumstances, type Bench, type Figure } from './bench.ts';
import { coreBench } from './core.ts';
import { dispatchBench } from './dispatch.ts';
import { fleetBench } from './fleet.ts';
import { ledgerBench } from './ledger.ts';
import { identityBench } from './identity.ts';
import { isolationBench } from './isolation.ts';
import { layersBench } from './layers/layers.ts';
import { packsBench } from './packs.ts';
import { reapiBench } from './reapi/reapi.ts';
import { recoveryBench } from './recovery.ts';
import { scaleBench } from './scale.ts';
import { slowStoreBench } from './slow-store.ts';
import { transfersBench } from './transfers.ts';

const BENCHES: readonly Bench[] = [
  coreBench,
  dispatchBench,
  scaleBench,
  fleetBench,
  ledgerBench,
  recoveryBench,
  identityBench,
  isolationBench,
  slowStoreBench,
  packsBench,
  transfersBench,
  layersBench,
  reapiBench,
];
const LEDGERS = ['redis', 'sqlite', 'both'] as const;

const USAGE = `Usage: npm run bench -- NAME [--json] [--quick] [--ledger redis|sqlite|both] [--redis ADDRESS | --redis-core] [--against ENDPOINT] [--only CASE] [--client PROGRAM]

${BENCHES.map((bench) => `  ${bench.name.padEnd(10)} ${bench.about}`).join('\n')}

  --json      one JSON object a line: first the circumstances, then each figure
  --quick     small loads, to see that it works
  --ledger    which ledgers to measure; both is the default
  --redis     host:port or URL of a Redis to use: its contents are not spared. Without it redis-server is started
  --redis-core  dispatch: the Redis that is started has a core of its own, as if it were on another host; wants taskset
  --against   a peer to measure in the same run, where the benchmark knows one; test/bench/README.md says what it must do
  --client    the program that a case has as its client: a Bazel, for the case bazel
  --only      one case of a benchmark that has several: ${BENCHES.flatMap(({ cases = [] }) => cases).join(', ')}
`;

function show(figure: Figure): string {
  const value = figure.value >= 1000 ? Math.round(figure.value).toLocaleString('en') : figure.value.toPrecision(3);
  return `  ${figure.case.padEnd(56)} ${figure.metric.padEnd(30)} ${value.padStart(12)} ${figure.unit}`;
}

function peerNames(): string {
  const names = BENCHES.filter(({ knowsPeers }) => knowsPeers).map(({ name }) => name);
  return names.length === 0 ? 'none yet' : names.join(', ');
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      against: { type: 'string' },
      ledger: { type: 'string', default: 'both' },
      redis: { type: 'string' },
      'redis-core': { type: 'boolean', default: false },
      only: { type: 'string' },
      client: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const bench = BENCHES.find(({ name }) => name === positionals[0]);
  if (bench === undefined || values.help) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  if (values.against !== undefined && !bench.knowsPeers) {
    process.stderr.write(`--against: ${bench.name} has no peer to measure; those that have: ${peerNames()}\n`);
    return 2;
  }
  const ledger = LEDGERS.find((name) => name === values.ledger);
  if (ledger === undefined) {
    process.stderr.write(`--ledger must be one of ${LEDGERS.join(', ')}, got "${values.ledger}"\n`);
    return 2;
  }
  const redisCore = values['redis-core'];
  if (redisCore && (bench !== dispatchBench || values.redis !== undefined)) {
    process.stderr.write('--redis-core: only dispatch has it, and only for the Redis that it starts itself\n');
    return 2;
  }
  const { only } = values;
  if (only !== undefined && bench.cases?.includes(only) !== true) {
    process.stderr.write(`--only: ${bench.name} has ${bench.cases?.join(', ') ?? 'no cases to choose from'}, got "${only}"\n`);
    return 2;
  }
  const about = circumstances(systemClock.now());
  const print = (line: string) => process.stdout.write(`${line}\n`);
  print(values.json ? JSON.stringify(about) : `${bench.name} at ${about.commit}, ${about.machine}, Node ${about.node}, ${about.at}`);
  const env = { clock: systemClock, log: jsonLogger('warn') };
  const { against, redis, quick, client } = values;
  for await (const figure of bench.run({ env, against, ledger, redis, redisCore, only, quick, client })) {
    print(values.json ? JSON.stringify(figure) : show(figure));
  }
  return 0;
}

process.exitCode = await main();

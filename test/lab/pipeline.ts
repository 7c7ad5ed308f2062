import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { ROOT } from '../fixtures/root.ts';
import type { Endpoints } from '../chaos/endpoints.ts';
import type { ObservedBuild } from '../chaos/observation.ts';
import { clusterOf } from './clusters.ts';
import type { LabYard } from './yard.ts';

/** How one run of the pipeline file went. */
export type PipelineRun = {
  readonly build: string;
  /** Wall clock of the command, from its start to its end. */
  readonly tookMs: number;
  /** Step to the cluster that its result is from; `cache` where none ran it. */
  readonly places: Readonly<Record<string, string>>;
  /** What is wrong with it; none where it is as it should be. */
  readonly problems: readonly string[];
};

const WHERE: Readonly<Record<string, readonly string[]>> = {
  build: ['central'],
  'test[at=edge]': ['edge'],
  'test[at=central]': ['central'],
  parity: ['edge', 'central'],
  package: ['production'],
};

/** Applies the topology file by the command line, as an operator does. @throws {Error} with the command's words */
export async function applyTopology(yard: LabYard, dir: string): Promise<void> {
  const file = join(ROOT, 'test/lab/switchyard.topology.yaml');
  const { code, stderr } = await yard.run(['topology', 'apply', file, '--reason', 'the laboratory'], dir);
  if (code !== 0) throw new Error(`The topology is not applied:\n${stderr}`);
}

/** Runs `pipeline/switchyard.yaml` by the command line from a copy of its directory, which is made in `dir`. */
export async function runPipeline(
  yard: LabYard,
  endpoints: Endpoints,
  dir: string,
  revision: string,
  signal: AbortSignal,
): Promise<PipelineRun> {
  const work = join(dir, `pipeline-${revision}`);
  cpSync(join(ROOT, 'test/lab/pipeline'), work, { recursive: true });
  const beganMs = systemClock.monotonic();
  const { code, stdout, stderr } = await yard.run(['run', '-o', 'json', '--param', `revision=${revision}`], work);
  const tookMs = Math.round(systemClock.monotonic() - beganMs);
  const build = /"build":\s*"(b-[0-9a-z]+)"/.exec(stdout)?.[1] ?? '';
  if (code !== 0) return { build, tookMs, places: {}, problems: [`ended with code ${code}: ${stderr.trim() || stdout.slice(-2_000)}`] };
  const snapshot = await endpoints.call((server, one) => server.snapshot(build, one), signal);
  const places = Object.fromEntries(
    snapshot.steps.map(({ name, source, result }) => [
      name,
      source === 'run' ? (clusterOf(result?.agent ?? '')?.name ?? 'nowhere') : 'cache',
    ]),
  );
  return { build, tookMs, places, problems: [...misplaced(places), ...differing(snapshot)] };
}

function misplaced(places: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(WHERE).flatMap(([step, allowed]) => {
    const place = places[step];
    return place !== undefined && allowed.includes(place)
      ? []
      : [`${step} was in ${place ?? 'no place at all'}, and belongs to ${allowed.join(' or ')}`];
  });
}

function differing({ steps }: NonNullable<ObservedBuild['snapshot']>): readonly string[] {
  const reports = steps.flatMap(({ name, result }) =>
    name.startsWith('test[') ? (result?.outputs ?? []).flatMap((output) => (output.kind === 'file' ? [output.digest] : [])) : [],
  );
  return reports.length === 2 && reports[0] === reports[1] ? [] : [`the reports of two clusters are ${reports.join(' and ') || 'missing'}`];
}

import type { Caller } from '../../base/caller.ts';
import { formatProblem } from '../../base/document/problem.ts';
import { Fault } from '../../base/fault.ts';
import { digestOf, hashOf } from '../../cache/digest.ts';
import type { ApplyTopologyRequest__Output } from '../../proto/gen/switchyard/v1/ApplyTopologyRequest.ts';
import type { ApplyTopologyResponse } from '../../proto/gen/switchyard/v1/ApplyTopologyResponse.ts';
import type { GetTopologyRequest__Output } from '../../proto/gen/switchyard/v1/GetTopologyRequest.ts';
import type { GetTopologyResponse } from '../../proto/gen/switchyard/v1/GetTopologyResponse.ts';
import type { ListTopologiesResponse } from '../../proto/gen/switchyard/v1/ListTopologiesResponse.ts';
import type { PlanTopologyRequest__Output } from '../../proto/gen/switchyard/v1/PlanTopologyRequest.ts';
import type { PlanTopologyResponse } from '../../proto/gen/switchyard/v1/PlanTopologyResponse.ts';
import type { TopologyRevision as RevisionOnWire } from '../../proto/gen/switchyard/v1/TopologyRevision.ts';
import { readTopology } from '../../topology/file.ts';
import { overdueFlags } from '../../topology/settings.ts';
import { changesBetween } from '../../topology/words.ts';
import type { TopologyRevision } from '../core/state.ts';
import type { Shell } from '../shell/shell.ts';
import { confirmed, refusalOf } from './confirmed.ts';
import { textField, wholeField } from './fields.ts';

type Leading = Pick<Shell, 'driver' | 'core'>;

export async function getTopology({ driver, core }: Leading, request: GetTopologyRequest__Output): Promise<GetTopologyResponse> {
  const wanted = wholeField(request.revision, 'revision', 0, Number.MAX_SAFE_INTEGER);
  const known = core.topologies();
  const found = wanted === 0 ? known.at(-1) : known.find(({ revision }) => revision === wanted);
  if (found === undefined && wanted !== 0) {
    const range = known.length === 0 ? 'none was applied yet' : `${known[0]?.revision} to ${known.at(-1)?.revision} are remembered`;
    throw new Fault('BAD_REQUEST', `There is no revision ${wanted} of the topology: ${range}`, { field: 'revision' });
  }
  await confirmed(driver, () => driver.settled());
  return found === undefined ? {} : { revision: revisionToProto(found), text: found.text };
}

export async function listTopologies({ driver, core }: Leading): Promise<ListTopologiesResponse> {
  const revisions = core.topologies().map(revisionToProto).toReversed();
  await confirmed(driver, () => driver.settled());
  return { revisions };
}

export async function planTopology({ driver, core }: Leading, request: PlanTopologyRequest__Output): Promise<PlanTopologyResponse> {
  const { topology, problems } = readTopology(request.text);
  const written = problems.map(({ place, field, message, hint }) => ({ ...place, field, message, fix: hint ?? '' }));
  if (topology === undefined) return { problems: written };
  const [overdue] = overdueFlags(topology, driver.now());
  if (overdue !== undefined) {
    const fix = 'Take it away, or let its owner give it a later day.';
    return { problems: [{ line: 1, column: 1, field: `flags.${overdue.name}.expires`, message: overdue.words, fix }] };
  }
  const answer = {
    baseDigest: core.topologies().at(-1)?.digest ?? '',
    digest: digestOfText(request.text),
    changes: [...changesBetween(core.topology, topology)],
    agents: [...core.topologyEffects(topology).agents],
    stranded: [...core.topologyEffects(topology).stranded],
  };
  await confirmed(driver, () => driver.settled());
  return answer;
}

export async function applyTopology(
  { driver }: Leading,
  request: ApplyTopologyRequest__Output,
  caller: Caller,
): Promise<ApplyTopologyResponse> {
  const { text, baseDigest } = request;
  const { topology, problems } = readTopology(text);
  const [first] = problems;
  if (topology === undefined) {
    const more = problems.length > 1 ? `, and ${problems.length - 1} more` : '';
    const words = first === undefined ? 'it cannot be read' : formatProblem('text', first);
    throw new Fault('BAD_REQUEST', `The topology is wrong: ${words}${more}`, { field: 'text' });
  }
  const [overdue] = overdueFlags(topology, driver.now());
  if (overdue !== undefined) {
    const hint = 'Take it away, or let its owner give it a later day.';
    throw new Fault('BAD_REQUEST', `The topology is wrong: flags.${overdue.name}.expires: ${overdue.words}`, { field: 'text', hint });
  }
  if (!/^([0-9a-f]{64})?$/.test(baseDigest))
    throw new Fault('BAD_REQUEST', 'base_digest must be the 64 hex digits that PlanTopology gave, or empty', { field: 'base_digest' });
  const reason = textField(request.reason, 'reason', 0, 1_024);
  const event = {
    kind: 'topology-applied',
    base: baseDigest,
    digest: digestOfText(text),
    text,
    topology,
    by: caller.name,
    reason,
  } as const;
  const reply = await confirmed(driver, () => driver.submit(event));
  if (reply.kind !== 'topology') throw refusalOf(reply);
  return { revision: reply.revision, isNew: reply.isNew };
}

function digestOfText(text: string): string {
  return hashOf(digestOf(Buffer.from(text)));
}

function revisionToProto({ revision, digest, by, at, reason }: TopologyRevision): RevisionOnWire {
  return { revision, digest, by, atMs: at, reason };
}

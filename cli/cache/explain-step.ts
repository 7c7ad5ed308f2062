import { isFault } from '../../base/fault.ts';
import { parseDigest } from '../../cache/digest.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import { blobReader } from '../../cache/read-blob.ts';
import type { BuildView, ExplanationView, StepView } from '../build-view.ts';
import { readAction } from '../rpc/action.ts';
import type { Session } from '../session.ts';
import { aboutStep } from '../step-name.ts';
import { actionChanges } from './action-changes.ts';
import type { CacheLink } from './open.ts';

/** What the cache had for a step, and why not more. */
export type StepExplanation = {
  readonly build: string;
  readonly step: StepView;
  /** What the coordinator says, as `switchyard explain` does. */
  readonly told: ExplanationView;
  /** The run before it with which it is compared; undefined where there is none, or nothing to compare. */
  readonly compared: Compared | undefined;
  /** The result of its action that is in the cache now. */
  readonly kept: Entry | undefined;
  /** Where there is none: what became of it, as far as it is known. */
  readonly causes: readonly string[];
};

export type Compared = {
  readonly build: string;
  readonly action: string;
  /** What has changed since; empty where the action is the same. */
  readonly changes: readonly string[];
  /** Why that could not be found out; undefined where it was. */
  readonly unknown: string | undefined;
};

/** Builds that are looked through for an earlier run of the same step, and how many of the same name are looked into. */
const LISTED_MAX = 500;
const LOOKED_INTO_MAX = 10;

/** @throws {Fault} BUILD_UNKNOWN, STEP_UNKNOWN; of the connections to coordinator and data plane */
export async function explainStep(session: Session, cache: CacheLink, build: string, name: string): Promise<StepExplanation> {
  const { server, admin, instanceName } = cache;
  const { signal } = session;
  const told = await aboutStep(server, build, name, signal, () => server.explain(build, name, signal));
  const snapshot = await server.snapshot(build, signal);
  const step = snapshot.steps.find((candidate) => candidate.name === name);
  if (step === undefined) throw new Error(`the server explains ${name}, and has no such step`);
  if (step.action === undefined || step.action === '') return { build, step, told, compared: undefined, kept: undefined, causes: [] };
  const kept = await admin.find(instanceName, 'action', step.action, signal);
  const causes = kept === undefined ? (await admin.explain(instanceName, 'action', step.action, [], signal)).causes : [];
  const compared = step.source === 'cache' ? undefined : await compare(session, cache, snapshot.build, step);
  return { build, step, told, compared, kept, causes };
}

async function compare(session: Session, cache: CacheLink, build: BuildView, step: StepView): Promise<Compared | undefined> {
  const earlier = await earlierRun(session, cache, build, step.name);
  const [before, now] = [parseDigest(earlier?.action ?? ''), parseDigest(step.action ?? '')];
  if (earlier === undefined || before === undefined || now === undefined) return undefined;
  if (before === now) return { ...earlier, changes: [], unknown: undefined };
  const link = { ...cache.server.link, address: cache.view.dataAddress };
  const env = { log: session.terminal.log, clock: session.terminal.clock };
  await using data = openDataPlane({ link, instanceName: cache.instanceName, env });
  const read = blobReader(data.store);
  try {
    const [old, fresh] = [await readAction(before, read, session.signal), await readAction(now, read, session.signal)];
    return { ...earlier, changes: await actionChanges(old, fresh, read, session.signal), unknown: undefined };
  } catch (error) {
    if (!isFault(error, 'BLOB_UNKNOWN')) throw error;
    const where = `the descriptions of both runs are not all in the cache of ${cache.scope} and the scopes above it`;
    return {
      ...earlier,
      changes: [],
      unknown: `${where}: they were evicted, the step is not cacheable, or the build ran in a scope below (name that with --scope)`,
    };
  }
}

/** The newest earlier build of the same name in which the step had an action and did not fail. */
async function earlierRun(
  { signal }: Session,
  { server }: CacheLink,
  { id, name, acceptedAtMs }: BuildView,
  step: string,
): Promise<Pick<Compared, 'build' | 'action'> | undefined> {
  const builds = await server.list({ labels: {}, phase: undefined, verdict: undefined, limit: LISTED_MAX }, signal);
  const same = builds.filter((other) => other.name === name && other.id !== id && other.acceptedAtMs <= acceptedAtMs);
  for (const other of same.slice(0, LOOKED_INTO_MAX)) {
    const { steps } = await server.snapshot(other.id, signal);
    const found = steps.find((candidate) => candidate.name === step && candidate.verdict === 'succeeded');
    if (found?.action !== undefined && found.action !== '') return { build: other.id, action: found.action };
  }
  return undefined;
}

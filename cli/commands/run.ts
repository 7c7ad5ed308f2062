import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { openDataPlane, type DataPlane } from '../../cache/rpc/client.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { EXIT } from '../exit.ts';
import { isPassing } from '../follow.ts';
import { loadProto } from '../../proto/load.ts';
import { locateServer, type Located } from '../locate.ts';
import { namesIn } from '../pipeline/interpolate.ts';
import type { Plan } from '../pipeline/plan.ts';
import { formatProblem, type Problem } from '../../base/document/problem.ts';
import { submitRequestOf } from '../rpc/submit-request.ts';
import type { BuildServer } from '../rpc/client.ts';
import type { SubmitBuildRequest } from '../../proto/gen/switchyard/v1/SubmitBuildRequest.ts';
import { openEmbedded, type EmbeddedYard } from '../run/embedded.ts';
import { openPipeline, type FoundPipeline } from '../run/pipeline-file.ts';
import { prepareInputs, stateDirIn, type PreparedInputs } from '../run/prepare.ts';
import { resumeNote, type ResumeNote } from '../run/resume-note.ts';
import { reattachText, watchBuild } from '../run/watch-build.ts';
import { atServer, connect, plainReason, printJson, printLines, say, status, type Session } from '../session.ts';
import type { UploadCount } from '../view/summary.ts';

export type RunOptions = {
  readonly file?: string;
  readonly param: readonly (readonly [string, string])[];
  readonly name?: string;
  /** Environment of the topology. @default none */
  readonly environment?: string;
  readonly label: readonly (readonly [string, string])[];
  readonly embedded?: boolean;
  readonly sandbox: string;
  readonly detach?: boolean;
  readonly idempotencyKey?: string;
  /** The build's cache scope: the caller's own or one below it. @default the caller's own */
  readonly scope?: string;
  readonly untrustedInput: readonly string[];
  readonly tail: number;
};

/** Submits the pipeline file's build and follows it. */
export async function runCommand(session: Session, options: RunOptions): Promise<number> {
  const first = openPipeline(options.file, options.param, session.terminal);
  const asks = options.environment !== undefined || readsSettings(first);
  if (!asks && planOf(session, first) === undefined) return EXIT.usage;
  await using stack = new AsyncDisposableStack();
  const doing = stack.use(status(session));
  const submitted = Promise.withResolvers<void>();
  doing.say(options.embedded === true ? 'Starting the yard, reading the inputs …' : 'Reading the inputs …');
  const opening = async () => {
    const { located, yard } = await openTarget(session, first.root, options, submitted.promise);
    if (yard !== undefined) {
      stack.use(yard);
      stack.defer(() => submitted.resolve()); // without a build of ours, others may still have some
    }
    return { located, ownYard: yard?.own === true };
  };
  // What expressions say may hang on what the server knows; then it is asked before the file is read for good.
  const early = asks ? await opening() : undefined;
  const pipeline = early === undefined ? first : await openWithSettings(session, early.located, options);
  const found = planOf(session, pipeline);
  if (found === undefined) return EXIT.usage;
  const plan = named(found, pipeline, options);
  // The server starts while the work tree is scanned; whichever fails first is reported.
  const [{ located, ownYard }, prepared] = await Promise.all([
    early ?? opening(),
    prepareInputs(plan, pipeline.root, session.terminal.clock, session.signal).then((inputs) => {
      loadProto(); // while the yard starts
      return inputs;
    }),
  ]);
  doing.say('');
  if (!reportProblems(session, pipeline.file, prepared.problems)) return EXIT.usage;
  const server = stack.use(await connect(located, session));
  try {
    return await submitAndFollow(session, server, doing, {
      plan,
      prepared,
      root: pipeline.root,
      options,
      ownYard,
      submitted: submitted.resolve,
    });
  } catch (error) {
    throw atServer(error, server);
  }
}

/** The plan; undefined after saying what is wrong. */
function planOf(session: Session, { file, problems, plan }: FoundPipeline): Plan | undefined {
  const errors = problems.filter((problem) => problem.severity === 'error');
  return reportProblems(session, file, errors) ? plan : undefined;
}

/** Whether expressions of the file name flags or the environment. */
function readsSettings({ source }: FoundPipeline): boolean {
  return source !== undefined && [...namesIn(source.root)].some((name) => /^(flags|environment)\./.test(name));
}

/** The pipeline file with what the server says of the environment. Says which flags should be gone. */
async function openWithSettings(session: Session, located: Located, options: RunOptions): Promise<FoundPipeline> {
  const { environment = '', file, param } = options;
  using server = await connect(located, session);
  try {
    const { params, flags, warnings } = await patiently(session, () => server.topology.environment(environment, session.signal));
    for (const warning of warnings) say(session, `Warning: ${warning}`);
    return openPipeline(file, param, session.terminal, { environment, params, flags });
  } catch (error) {
    throw atServer(error, server);
  }
}

type Submission = {
  readonly plan: Plan;
  readonly prepared: PreparedInputs;
  readonly root: string;
  readonly options: RunOptions;
  /** Whether the server ends with us. */
  readonly ownYard: boolean;
  /** Told when the server has the build. */
  readonly submitted: () => void;
};
type Status = ReturnType<typeof status>;

async function submitAndFollow(session: Session, server: BuildServer, doing: Status, submission: Submission): Promise<number> {
  const { plan, prepared, root, options, ownYard } = submission;
  doing.say('Sending inputs …');
  const sent = () => uploadInputs(session, server, prepared, options.scope);
  const upload = await (ownYard ? patiently(session, sent) : sent());
  doing.say('Submitting …');
  const note = noteFor(submission, server, root);
  const request = { ...submitRequestOf(plan, prepared.inputs, options.idempotencyKey ?? note.key), ...placeOf(options) };
  const { id, existing } = await submitSurely(session, server, request);
  submission.submitted();
  doing.say('');
  if (session.json) session.terminal.stdout.write(`${JSON.stringify({ kind: 'submitted', build: id, existing })}\n`);
  if (existing) say(session, `Build ${id} was submitted before: following it`);
  if (options.detach === true) {
    note.clear();
    if (!session.json) printLines(session, [id]);
    say(session, `Submitted. ${reattachText(id)}`);
    return EXIT.ok;
  }
  const { code, detached } = await watchBuild(session, server, id, {
    cancelOnInterrupt: true,
    upload,
    tailLines: options.tail,
    logsAfter: ownYard ? 'start the yard again with "switchyard up", then ' : '',
  });
  if (!detached) note.clear();
  return code;
}

/** Where the build is to run, as far as the command line says. */
function placeOf({ scope, untrustedInput }: RunOptions): Pick<SubmitBuildRequest, 'scope' | 'untrustedInputs'> {
  return { ...(scope === undefined ? {} : { scope }), ...(untrustedInput.length === 0 ? {} : { untrustedInputs: [...untrustedInput] }) };
}

/** A note only where the key is ours to choose. */
function noteFor({ plan, prepared, options }: Submission, server: BuildServer, root: string): ResumeNote {
  if (options.idempotencyKey !== undefined) return { key: options.idempotencyKey, resumed: false, clear: () => {} };
  const stateDir = stateDirIn(root);
  if (stateDir === undefined) return { key: randomUUID(), resumed: false, clear: () => {} };
  return resumeNote(stateDir, server.link.address, { ...submitRequestOf(plan, prepared.inputs, ''), ...placeOf(options) });
}

/**
 * The data plane of the server, wherever it is: that of another coordinator where this one goes away. `scope` is the caller's own where
 * it is undefined.
 */
export async function openServersData(session: Session, server: BuildServer, scope?: string): Promise<DataPlane> {
  const view = await server.server(session.signal);
  const { dataAddress } = view;
  const instanceName = scope === undefined ? view.instanceName : `${view.project}/${scope}`;
  const link = { ...server.link, address: dataAddress };
  const env = { log: session.terminal.log, clock: session.terminal.clock };
  const locate = async (signal: AbortSignal) => (await server.server(signal)).dataAddress;
  return openDataPlane({ link, instanceName, env, locate });
}

/** Sends what the server lacks of the inputs. */
export async function uploadInputs(
  session: Session,
  server: BuildServer,
  prepared: Pick<PreparedInputs, 'blobs'>,
  scope?: string,
): Promise<UploadCount> {
  if (prepared.blobs.size === 0) return { sentBytes: 0, totalBytes: 0 };
  await using data = await openServersData(session, server, scope);
  // Awaited here: the connection closes when this function is left.
  return await uploadTree(prepared, data.store, session.signal);
}

/** How long a submission is repeated while the server is away or changes its leader. */
const SUBMIT_PATIENCE_MS = 30_000;
const SUBMIT_BACKOFF = { initialMs: 300, maxMs: 3_000 };

/** Makes the call again while the server is away, starts or changes its leader. For calls that may be made twice. */
async function patiently<T>(session: Session, call: () => Promise<T>): Promise<T> {
  const { clock } = session.terminal;
  const { signal } = session;
  const until = clock.monotonic() + SUBMIT_PATIENCE_MS;
  for (let tries = 0; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      if (signal.aborted || !isPassing(error) || clock.monotonic() > until) throw error;
      if (tries === 0) say(session, `The server is not ready (${plainReason(error)}), trying again`);
      await sleep((error.retryAfterMs ?? 0) + backoffMs(SUBMIT_BACKOFF, tries, session.prng), undefined, { signal });
    }
  }
}

/** Submits; again where the answer was lost: the key makes one build of it however often it arrives. */
export async function submitSurely(
  session: Session,
  server: BuildServer,
  request: SubmitBuildRequest,
): Promise<{ readonly id: string; readonly existing: boolean }> {
  await server.server(session.signal); // a wrong address or token shows at once
  return patiently(session, () => server.submit(request, session.signal));
}

type Target = { readonly located: Located; readonly yard: EmbeddedYard | undefined };

async function openTarget(session: Session, root: string, options: RunOptions, submitted: Promise<void>): Promise<Target> {
  if (options.embedded !== true) return { located: locateServer(session.options, session.terminal), yard: undefined };
  const yard = await openEmbedded(session, root, { sandbox: options.sandbox, port: 0, agentsAfter: submitted });
  return { located: yard.located, yard };
}

/** The plan with the command line's name and labels, and with branch and commit where the file says nothing else. */
function named(plan: Plan, { git }: FoundPipeline, options: RunOptions): Plan {
  const found = Object.entries({ branch: git.branch, commit: git.commit }).filter(([, value]) => value !== '');
  return {
    ...plan,
    name: options.name ?? plan.name,
    labels: { ...Object.fromEntries(found), ...plan.labels, ...Object.fromEntries(options.label) },
  };
}

/** Prints the problems; false where one of them is an error. */
export function reportProblems(session: Session, file: string, problems: readonly Problem[]): boolean {
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  if (session.json && errors > 0) printJson(session, { file, problems });
  if (!session.json) for (const problem of problems) session.terminal.stderr.write(`${formatProblem(file, problem)}\n`);
  return errors === 0;
}

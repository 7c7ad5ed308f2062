import { openDataPlane } from '../../cache/rpc/client.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { EXIT } from '../exit.ts';
import { locateServer, type Located } from '../locate.ts';
import type { Plan } from '../pipeline/plan.ts';
import { formatProblem, type Problem } from '../pipeline/problem.ts';
import { submitRequestOf } from '../rpc/submit-request.ts';
import type { BuildServer } from '../rpc/client.ts';
import { openEmbedded } from '../run/embedded.ts';
import { openPipeline, type FoundPipeline } from '../run/pipeline-file.ts';
import { prepareInputs, stateDirIn, type PreparedInputs } from '../run/prepare.ts';
import { resumeNote, type ResumeNote } from '../run/resume-note.ts';
import { reattachText, watchBuild } from '../run/watch-build.ts';
import { atServer, connect, printJson, say, type Session } from '../session.ts';
import type { UploadCount } from '../view/summary.ts';

export type RunOptions = {
  readonly file?: string;
  readonly param: readonly (readonly [string, string])[];
  readonly name?: string;
  readonly label: readonly (readonly [string, string])[];
  readonly embedded?: boolean;
  readonly sandbox: string;
  readonly detach?: boolean;
  readonly idempotencyKey?: string;
  readonly tail: number;
};

/** Submits the pipeline file's build and follows it. */
export async function runCommand(session: Session, options: RunOptions): Promise<number> {
  const pipeline = openPipeline(options.file, options.param, session.terminal);
  if (
    !reportProblems(
      session,
      pipeline.file,
      pipeline.problems.filter((problem) => problem.severity === 'error'),
    )
  )
    return EXIT.usage;
  if (pipeline.plan === undefined) return EXIT.usage;
  const plan = named(pipeline.plan, pipeline, options);
  await using stack = new AsyncDisposableStack();
  // The server starts while the work tree is scanned; whichever fails first is reported.
  const [located, prepared] = await Promise.all([
    openTarget(session, pipeline.root, options).then((target) =>
      target.yard === undefined ? target.located : (stack.use(target.yard), target.located),
    ),
    prepareInputs(plan, pipeline.root, session.terminal.clock, session.signal),
  ]);
  if (!reportProblems(session, pipeline.file, prepared.problems)) return EXIT.usage;
  const server = stack.use(await connect(located));
  try {
    return await submitAndFollow(session, server, { plan, prepared, root: pipeline.root, options });
  } catch (error) {
    throw atServer(error, server);
  }
}

type Submission = { readonly plan: Plan; readonly prepared: PreparedInputs; readonly root: string; readonly options: RunOptions };

async function submitAndFollow(session: Session, server: BuildServer, submission: Submission): Promise<number> {
  const { plan, prepared, root, options } = submission;
  const upload = await uploadInputs(session, server, prepared);
  const note = noteFor(submission, server, root);
  const request = submitRequestOf(plan, prepared.inputs, options.idempotencyKey ?? note.key);
  const { id, existing } = await server.submit(request, session.signal);
  if (session.json) session.terminal.stdout.write(`${JSON.stringify({ kind: 'submitted', build: id, existing })}\n`);
  if (existing) say(session, `Build ${id} was submitted before: following it`);
  if (options.detach === true) {
    note.clear();
    say(session, `Submitted ${id}. ${reattachText(id)}`);
    return EXIT.ok;
  }
  const { code, detached } = await watchBuild(session, server, id, { cancelOnInterrupt: true, upload, tailLines: options.tail });
  if (!detached) note.clear();
  return code;
}

/** A note only where the key is ours to choose. */
function noteFor({ plan, prepared, options }: Submission, server: BuildServer, root: string): ResumeNote {
  if (options.idempotencyKey !== undefined) return { key: options.idempotencyKey, resumed: false, clear: () => {} };
  return resumeNote(stateDirIn(root), server.link.address, submitRequestOf(plan, prepared.inputs, ''));
}

/** Sends what the server lacks of the inputs. */
export async function uploadInputs(session: Session, server: BuildServer, prepared: Pick<PreparedInputs, 'blobs'>): Promise<UploadCount> {
  if (prepared.blobs.size === 0) return { sentBytes: 0, totalBytes: 0 };
  const { dataAddress, instanceName } = await server.server(session.signal);
  const link = { address: dataAddress, token: server.link.token };
  await using data = openDataPlane({ link, instanceName, env: { log: session.terminal.log, clock: session.terminal.clock } });
  // Awaited here: the connection closes when this function is left.
  return await uploadTree(prepared, data.store, session.signal);
}

type Target = { readonly located: Located; readonly yard: AsyncDisposable | undefined };

async function openTarget(session: Session, root: string, options: RunOptions): Promise<Target> {
  if (options.embedded !== true) return { located: locateServer(session.options, session.terminal), yard: undefined };
  const yard = await openEmbedded(session, root, { sandbox: options.sandbox, port: 0 });
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

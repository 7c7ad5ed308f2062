import fs from 'node:fs';
import path from 'node:path';
import { formatProblem, type Problem } from '../../base/document/problem.ts';
import { codeOf } from '../../base/thrown.ts';
import { readTopology, topologySchema } from '../../topology/file.ts';
import { EXIT, UsageError } from '../exit.ts';
import type { BuildServer } from '../rpc/client.ts';
import { openServer, printJson, printLines, say, type Session } from '../session.ts';
import type { TopologyPlan } from '../topology-view.ts';
import { columns, count, printable } from '../view/format.ts';

const TOPOLOGY_FILE = 'switchyard.topology.yaml';
/** Lines of one kind that a plan shows; `--output json` has all. */
const LINES_MAX = 50;

type TopologyFile = { readonly name: string; readonly text: string };

/** Checks the file without a server. */
export async function validateCommand(session: Session, named: string | undefined): Promise<number> {
  const file = readFile(session, named);
  const { problems } = readTopology(file.text);
  if (session.json) printJson(session, { file: file.name, problems });
  else if (problems.length > 0) printProblems(session, file.name, problems);
  else printLines(session, [`${file.name}: no errors`]);
  return problems.some(({ severity }) => severity === 'error') ? EXIT.usage : EXIT.ok;
}

/** Says what the file would change. */
export async function planCommand(session: Session, named: string | undefined): Promise<number> {
  const file = readFile(session, named);
  using server = await openServer(session);
  const plan = await server.topology.plan(file.text, session.signal);
  return reportPlan(session, file.name, plan) ? EXIT.ok : EXIT.usage;
}

export type ApplyOptions = { readonly base?: string; readonly reason?: string; readonly dryRun?: boolean };

/** Puts the file in force, if what it was planned against still holds. */
export async function applyCommand(session: Session, named: string | undefined, options: ApplyOptions): Promise<number> {
  const file = readFile(session, named);
  if (options.base !== undefined && !/^[0-9a-f]{64}$/.test(options.base) && options.base !== 'none')
    throw new UsageError(`"${options.base}" is not a digest`, 'Write the 64 characters that "plan" said, or "none".');
  using server = await openServer(session);
  return await apply(session, server, file, options);
}

/** Puts the text of an earlier revision in force again. */
export async function rollbackCommand(session: Session, revision: number, options: Omit<ApplyOptions, 'base'>): Promise<number> {
  using server = await openServer(session);
  const earlier = await server.topology.current(revision, session.signal);
  if (earlier === undefined) throw new UsageError(`There is no revision ${revision}`, '"switchyard topology history" lists them.');
  const file = { name: `revision ${revision}`, text: earlier.text };
  return await apply(session, server, file, { ...options, reason: options.reason ?? `rollback to ${revision}` });
}

async function apply(session: Session, server: BuildServer, file: TopologyFile, options: ApplyOptions): Promise<number> {
  const plan = await server.topology.plan(file.text, session.signal);
  if (plan.problems.length > 0 || options.dryRun === true) return reportPlan(session, file.name, plan) ? EXIT.ok : EXIT.usage;
  const base = options.base ?? plan.baseDigest;
  const wanted = { text: file.text, baseDigest: base === 'none' ? '' : base, reason: options.reason ?? '' };
  const done = await server.topology.apply(wanted, session.signal);
  if (session.json)
    printJson(session, { ...done, digest: plan.digest, changes: plan.changes, agents: plan.agents, stranded: plan.stranded });
  else {
    if (done.isNew) printLines(session, planLines(plan));
    say(session, done.isNew ? `Revision ${done.revision} is in force.` : `Nothing to do: revision ${done.revision} says this already.`);
  }
  return EXIT.ok;
}

/** Prints the topology that holds, or an earlier one, as it was written. */
export async function showCommand(session: Session, revision: number | undefined): Promise<number> {
  using server = await openServer(session);
  const found = await server.topology.current(revision ?? 0, session.signal);
  if (session.json) printJson(session, found ?? {});
  else if (found === undefined) say(session, 'No topology was applied yet: every agent works as its credential says.');
  else session.terminal.stdout.write(found.text.endsWith('\n') ? found.text : `${found.text}\n`);
  return EXIT.ok;
}

/** Lists what was applied, by whom, when and why. */
export async function historyCommand(session: Session): Promise<number> {
  using server = await openServer(session);
  const history = await server.topology.history(session.signal);
  if (session.json) printJson(session, history);
  else if (history.length === 0) say(session, 'No topology was applied yet.');
  else {
    const [head = '', ...rows] = columns([
      ['REVISION', 'DIGEST', 'AT', 'BY', 'REASON'],
      ...history.map(({ revision, digest, atMs, by, reason }) => [
        String(revision),
        digest.slice(0, 12),
        new Date(atMs).toISOString(),
        printable(by),
        printable(reason),
      ]),
    ]);
    printLines(session, [session.style.bold(head), ...rows.map((row) => row.trimEnd())]);
  }
  return EXIT.ok;
}

/** Prints the JSON Schema of topology files. */
export async function topologySchemaCommand(session: Session): Promise<number> {
  session.terminal.stdout.write(topologySchemaText());
  return EXIT.ok;
}

/** The schema as it is published in docs/switchyard.topology.schema.json. */
export function topologySchemaText(): string {
  return `${JSON.stringify(topologySchema(), undefined, 2)}\n`;
}

function readFile(session: Session, named: string | undefined): TopologyFile {
  const name = named ?? TOPOLOGY_FILE;
  try {
    return { name, text: fs.readFileSync(path.resolve(session.terminal.cwd, name), 'utf8') };
  } catch (error) {
    throw new UsageError(`${name} cannot be read (${codeOf(error) ?? String(error)})`, 'Name a topology file (docs/topology.md).');
  }
}

/** Whether the plan is of a topology without errors. */
function reportPlan(session: Session, file: string, plan: TopologyPlan): boolean {
  if (session.json) printJson(session, plan);
  else if (plan.problems.length > 0) printProblems(session, file, plan.problems);
  else {
    printLines(session, planLines(plan));
    say(session, `Planned against ${plan.baseDigest === '' ? 'none' : plan.baseDigest}; "apply --base" holds to that.`);
  }
  return plan.problems.length === 0;
}

function planLines({ changes, agents, stranded }: TopologyPlan): readonly string[] {
  if (changes.length === 0) return ['Nothing would change.'];
  const waits = stranded.map(
    ({ steps, example, selector, zone }) =>
      `${count(steps, 'queued step')} such as ${example} would find no agent: ${selector === '' ? '' : `${selector}, `}zone ${zone}`,
  );
  return [
    ...limited(changes),
    ...limited(agents.map(({ agent, change }) => `agent ${agent}: ${change}`)),
    ...limited(waits.map((line) => `WARNING: ${line}`)),
  ].map(printable);
}

function limited(lines: readonly string[]): readonly string[] {
  return lines.length <= LINES_MAX ? lines : [...lines.slice(0, LINES_MAX), `… and ${lines.length - LINES_MAX} more`];
}

function printProblems(session: Session, file: string, problems: readonly Problem[]): void {
  for (const problem of problems) session.terminal.stderr.write(`${formatProblem(file, problem)}\n`);
}

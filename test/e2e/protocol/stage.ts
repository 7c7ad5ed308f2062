import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAgentJournal, type JournalLine } from '../../fixtures/agent-journal.ts';
import { startNode, startSwitchyard, type RunningProcess } from '../../fixtures/run-process.ts';
import { startRealYard, submittedBy, writeFiles, type RealYard } from '../real-yard.ts';

/** What a test says of an agent that it starts. */
export type AgentPlan = {
  /** Where it dials. @default the coordinator, directly */
  readonly coordinator?: string;
  readonly slots?: number;
  /** @default process */
  readonly sandbox?: 'process' | 'bubblewrap';
  readonly args?: readonly string[];
  /** Arguments of Node itself, such as a module to load before everything. */
  readonly node?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

/** A step as a pipeline file has it. */
export type StepText = { readonly run: string; readonly [field: string]: unknown };

/** A coordinator's process, agents that a test starts as it likes, and the files that steps leave for it. */
export interface Stage extends AsyncDisposable {
  readonly yard: RealYard;
  /** Starts an agent with the label `name`; it begins with what an earlier one of that name has left. */
  agent(name: string, plan?: AgentPlan): RunningProcess;
  journal(name: string): readonly JournalLine[];
  /** Submits steps, by name and as in a pipeline file, that take nothing from the cache, and follows them. */
  submit(steps: Readonly<Record<string, StepText>>): Promise<{ readonly run: RunningProcess; readonly build: string }>;
  /** The path of a file that steps and the test both see. */
  path(name: string): string;
  /** Makes the file `name`, for which steps wait. */
  open(name: string): void;
  /** The lines that steps have appended to `name`. */
  lines(name: string): readonly string[];
}

export type StageOptions = { readonly coordinatorArgs?: readonly string[] };

export async function startStage(options: StageOptions = {}): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const yard = stack.use(await startRealYard({ agents: [], ...options }));
  const path = (name: string) => join(yard.dir, name);
  const kept: AsyncDisposable[] = [];
  // Agents end before their coordinator, so that nothing is waited for.
  stack.defer(async () => {
    await Promise.all(kept.map((part) => part[Symbol.asyncDispose]()));
  });
  let count = 0;
  const parts = stack.move();
  return {
    yard,
    path,
    agent(name, plan = {}) {
      const own = ['agent/main.ts', '--coordinator', plan.coordinator ?? yard.address, '--id', name, '--label', `name=${name}`];
      const files = ['--work-dir', path(name), '--token-file', path('coordinator/agent-token'), '--sandbox', plan.sandbox ?? 'process'];
      const size = ['--slots', String(plan.slots ?? 2), '--cpu', '100'];
      const agent = startNode(
        [...(plan.node ?? []), ...own, ...files, ...size, ...(plan.args ?? [])],
        plan.env === undefined ? {} : { env: plan.env },
      );
      kept.push(agent);
      return agent;
    },
    journal: (name) => readAgentJournal(path(name)),
    async submit(steps) {
      count += 1;
      const file = `pipeline-${count}.yaml`;
      const written = Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, { cache: false, timeout: '5m', ...step }]));
      await writeFiles(yard.work, { [file]: JSON.stringify({ version: 1, name: `build ${count}`, steps: written }) });
      const run = startSwitchyard(['run', '-f', file, '-o', 'json', ...yard.at], { cwd: yard.work });
      kept.push(run);
      return { run, build: await submittedBy(run) };
    },
    open: (name) => appendFileSync(path(name), ''),
    lines: (name) =>
      existsSync(path(name))
        ? readFileSync(path(name), 'utf8')
            .split('\n')
            .filter((line) => line !== '')
        : [],
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** The tokens of which `event` was noted, in order. */
export function tokensOf(journal: readonly JournalLine[], event: JournalLine['event']): readonly string[] {
  return journal.flatMap((line) => (line.event === event && 'token' in line ? [line.token] : []));
}

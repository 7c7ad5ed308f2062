import { fork, type ChildProcess } from 'node:child_process';
import type { LoadAgentsNews, LoadAgentsOrder } from './load-agents.ts';
import { Starts } from './subject.ts';

export type LoadAgentsPlan = {
  /** Every coordinator's address, with commas between them. */
  readonly address: string;
  readonly token: string;
  readonly count: number;
  readonly slots: number;
  /** Enough processes to use the host, few enough not to measure its memory. */
  readonly perProcess: number;
  /** How long a step runs. */
  readonly holdMs?: number;
};

/** Processes full of agents; disposal ends them. */
export interface LoadAgents extends AsyncDisposable {
  /** Keys are `<build>/<step>`. */
  readonly starts: Starts;
  readonly pids: readonly number[];
}

export async function startLoadAgents(plan: LoadAgentsPlan): Promise<LoadAgents> {
  const starts = new Starts();
  const children: ChildProcess[] = [];
  const ready: Promise<void>[] = [];
  for (let first = 0; first < plan.count; first += plan.perProcess) {
    const child = fork(new URL('load-agents.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const { address, token, slots, holdMs = 0 } = plan;
    const order: LoadAgentsOrder = { address, token, first, count: Math.min(plan.perProcess, plan.count - first), slots, holdMs };
    child.send(order);
    children.push(child);
    ready.push(
      new Promise((resolve, reject) => {
        child.once('exit', (code) => reject(new Error(`Load agents ended with code ${code}`)));
        child.on('message', (news: LoadAgentsNews) => {
          if (news.kind === 'ready') resolve();
          else for (const [key, at] of news.starts) starts.note(key, at);
        });
      }),
    );
  }
  await Promise.all(ready);
  return {
    starts,
    pids: children.flatMap((child) => child.pid ?? []),
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map(endChild));
    },
  };
}

/** Ends a process that ends when its parent lets go of it. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => void child.once('exit', resolve));
  if (child.connected) child.disconnect();
  await gone;
}

import { fork, type ChildProcess } from 'node:child_process';
import type { LoadAgentsNews, LoadAgentsOrder } from './load-agents.ts';
import { Starts } from './subject.ts';

export type LoadAgentsPlan = {
  /** Every coordinator's address, with commas between them. */
  readonly address: string;
  readonly token: string;
  /** One for each cluster: agents take them in turn. @default `token` for all */
  readonly tokens?: readonly string[];
  readonly count: number;
  readonly slots: number;
  /** Enough processes to use the host, few enough not to measure its memory. */
  readonly perProcess: number;
  /** How long a step runs. @default 0 */
  readonly holdMs?: number;
  /** Labels beside `os` and `class`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Of the first agent: agents of several plans need different ones. @default 0 */
  readonly firstNumber?: number;
};

/** Processes full of agents; disposal ends them. */
export interface LoadAgents extends AsyncDisposable {
  /** Keys are `<build>/<step>`. */
  readonly starts: Starts;
  /** Round trips of heartbeats so far, in milliseconds; clears them. */
  takeHeartbeats(): readonly number[];
  readonly pids: readonly number[];
}

export async function startLoadAgents(plan: LoadAgentsPlan): Promise<LoadAgents> {
  const starts = new Starts();
  let heartbeats: number[] = [];
  const children: ChildProcess[] = [];
  const ready: Promise<void>[] = [];
  for (let first = 0; first < plan.count; first += plan.perProcess) {
    const child = fork(new URL('load-agents.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const { address, token, tokens = [token], slots, holdMs = 0, labels = {}, firstNumber = 0 } = plan;
    const count = Math.min(plan.perProcess, plan.count - first);
    const order: LoadAgentsOrder = { address, tokens, first: firstNumber + first, count, slots, holdMs, labels };
    child.send(order);
    children.push(child);
    ready.push(
      new Promise((resolve, reject) => {
        child.once('exit', (code) => reject(new Error(`Load agents ended with code ${code}`)));
        child.on('message', (news: LoadAgentsNews) => {
          if (news.kind === 'ready') resolve();
          else if (news.kind === 'heartbeats') heartbeats.push(...news.tripsMs);
          else for (const [key, at] of news.starts) starts.note(key, at);
        });
      }),
    );
  }
  await Promise.all(ready);
  return {
    starts,
    takeHeartbeats() {
      const taken = heartbeats;
      heartbeats = [];
      return taken;
    },
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

import { systemClock } from '../base/clock.ts';
import type { Environment } from '../base/options.ts';

/** Processes with options of their own. */
const PROCESSES: Readonly<Record<string, (argv: readonly string[], env: Environment) => Promise<number>>> = {
  coordinator: async (argv, env) => (await import('../coordinator/run.ts')).runCoordinator(argv, env),
  agent: async (argv, env) => (await import('../agent/run.ts')).runAgent(argv, env),
};

/** The command line from its arguments to the end of the process. */
export async function main(argv: readonly string[], env: Environment): Promise<never> {
  const [command = '', ...rest] = argv;
  const isAbout = command === 'agent' && ['revoke', 'allow'].includes(rest[0] ?? ''); // about an agent, and none itself
  const isProcess = Object.hasOwn(PROCESSES, command) && !isAbout;
  const run = isProcess ? PROCESSES[command] : undefined;
  // What is still open, such as an idle connection, does not keep a process that is done.
  process.exit(run === undefined ? await commandLine(argv, env) : await run(rest, env));
}

/**
 * Signals this close together are one: who interrupts a whole process group reaches us twice, directly and through the
 * launcher, and did not ask for "at once".
 */
const SAME_MS = 150;

async function commandLine(argv: readonly string[], env: Environment): Promise<number> {
  const [{ runCli }, { flushed, streamOutput }, { jsonLogger }] = await Promise.all([
    import('./cli.ts'),
    import('./terminal.ts'),
    import('../base/log.ts'),
  ]);
  const interrupted = new AbortController();
  const handlers: (() => void)[] = [];
  let lastAt = -SAME_MS;
  const onSignal = () => {
    const at = systemClock.monotonic();
    if (at - lastAt < SAME_MS) return;
    lastAt = at;
    const handler = handlers.at(-1);
    if (handler !== undefined) return handler();
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const terminal = {
    stdout: streamOutput(process.stdout),
    stderr: streamOutput(process.stderr),
    env,
    cwd: process.cwd(),
    clock: systemClock,
    log: jsonLogger('error'),
    onInterrupt: (handler: () => void) => {
      handlers.push(handler);
      return { [Symbol.dispose]: () => void handlers.splice(handlers.indexOf(handler), 1) };
    },
  };
  const code = await runCli(argv, terminal, interrupted.signal);
  // Ctrl-C ends the wait for a reader that takes nothing.
  const leaving = new AbortController();
  handlers.splice(0, handlers.length, () => leaving.abort());
  await Promise.all([process.stdout, process.stderr].map((stream) => flushed(stream, leaving.signal)));
  return code;
}

import { systemClock } from '../base/clock.ts';
import { jsonLogger } from '../base/log.ts';
import { renderHelp } from '../base/options-text.ts';
import type { Environment } from '../base/options.ts';
import { failed, onParentEnd, type ExitCode } from '../base/program.ts';
import { boundAgentHeap } from '../cache/heap-flags.ts';
import { AGENT_OPTIONS, parseAgentConfig, type AgentConfig } from './config.ts';
import { startAgent, type RunningAgent } from './start.ts';

/**
 * The whole life of an agent's process, from its options to its exit code. Once a coordinator has taken it, it prints one
 * line on standard output: `{"ready":true,"agent":...,"sandbox":...,"missing":[...]}`. SIGTERM and SIGINT let it finish what
 * runs; a second one, SIGQUIT, or the end of a parent that it is to end with, stops that; a third ends the process at once.
 */
export async function runAgent(argv: readonly string[], variables: Environment): Promise<ExitCode> {
  if (argv.includes('--help')) {
    process.stdout.write(renderHelp(AGENT_OPTIONS));
    return 0;
  }
  let config: AgentConfig;
  try {
    config = parseAgentConfig(variables, argv);
  } catch (error) {
    return failed(error);
  }
  boundAgentHeap();
  const wishes = listen(config.exitWithParent);
  try {
    await using agent = await startAgent(config, variables, { log: jsonLogger(config.logLevel), clock: systemClock }, wishes.early);
    wishes.pass(agent.session);
    const { session, sandbox } = agent;
    session.registered.then(
      () => process.stdout.write(`${JSON.stringify({ ready: true, agent: agent.id, sandbox: sandbox.name, missing: sandbox.missing })}\n`),
      () => {},
    );
    const end = await session.ended;
    if (!end.ok) process.stderr.write(`${end.reason}\n`);
    return end.ok ? 0 : 1;
  } catch (error) {
    if (wishes.early.aborted) return 0; // it waited to be let in
    return failed(error);
  }
}

type Wishes = {
  /** Who is told of what was and will be wished. */
  readonly pass: (session: Pick<RunningAgent['session'], 'drain' | 'stop'>) => void;
  /** Fires with a wish that comes before there is a session. */
  readonly early: AbortSignal;
};

/** Listens from the start, so that a signal during start-up is not lost. */
function listen(withParent: boolean): Wishes {
  let session: Pick<RunningAgent['session'], 'drain' | 'stop'> | undefined;
  let drain: string | undefined;
  let stop: string | undefined;
  const early = new AbortController();
  const tell = () => {
    if (session === undefined) early.abort();
    if (stop !== undefined) session?.stop(stop);
    else if (drain !== undefined) session?.drain(drain);
  };
  const wantStop = (reason: string) => {
    if (stop !== undefined) process.exit(1);
    stop = reason;
    tell();
  };
  const wantDrain = (reason: string) => {
    if (drain !== undefined || stop !== undefined) return wantStop(reason);
    drain = reason;
    tell();
  };
  process.on('SIGTERM', () => wantDrain('SIGTERM'));
  process.on('SIGINT', () => wantDrain('SIGINT'));
  process.on('SIGQUIT', () => wantStop('SIGQUIT'));
  if (withParent) onParentEnd(() => wantStop('the parent ended'));
  return {
    pass(to) {
      session = to;
      if (drain !== undefined || stop !== undefined) tell();
    },
    early: early.signal,
  };
}

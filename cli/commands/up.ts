import fs from 'node:fs';
import path from 'node:path';
import { EXIT } from '../exit.ts';
import { STATE_DIR } from '../locate.ts';
import { printLines, say, type Session } from '../session.ts';
import { yardReporter } from '../run/embedded.ts';
import { defaultAgents, startYard } from '../yard/yard.ts';

export type UpOptions = { readonly port: number; readonly sandbox: string };

/** Runs the embedded yard in the foreground until Ctrl-C. */
export async function upCommand(session: Session, options: UpOptions): Promise<number> {
  const { terminal } = session;
  const stopped = Promise.withResolvers<void>();
  using _interrupt = terminal.onInterrupt(() => stopped.resolve());
  const stateDir = path.join(fs.realpathSync(terminal.cwd), STATE_DIR);
  const yard = await startYard({
    stateDir,
    agents: defaultAgents(),
    port: options.port,
    sandbox: options.sandbox,
    env: terminal.env,
    clock: terminal.clock,
    prng: session.prng,
    onEvent: yardReporter(session, true),
    agentsAfter: Promise.resolve(),
  });
  try {
    const { address } = yard.located.link;
    if (session.json) terminal.stdout.write(`${JSON.stringify({ ready: true, address, agents: yard.agents, stateDir })}\n`);
    else
      printLines(session, [
        `The yard is up at ${address}: "switchyard run" in this directory uses it. Ctrl-C stops it; its state stays in ${stateDir}.`,
      ]);
    await stopped.promise;
    say(session, 'Stopping');
  } finally {
    await yard[Symbol.asyncDispose]();
  }
  return EXIT.ok;
}

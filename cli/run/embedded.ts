import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SANDBOX_TRAITS } from '../../base/sandbox-trait.ts';
import { readToken, readYardFile, STATE_DIR, type Located } from '../locate.ts';
import { connect, say, type Session } from '../session.ts';
import type { ChildEvent } from '../yard/child.ts';
import { hasGuests, holderOf, markGuest } from '../yard/lock.ts';
import { defaultAgents, startYard } from '../yard/yard.ts';
import { printable } from '../view/format.ts';

/** A yard for the duration: one that runs already, or one of our own that ends with us. */
export type EmbeddedYard = AsyncDisposable & {
  readonly located: Located;
  /** Whether it ends with us. */
  readonly own: boolean;
};

export type EmbeddedOptions = { readonly sandbox: string; readonly port: number; readonly agentsAfter: Promise<void> };

/** How long a yard that is starting is waited for, and how often it is looked at. */
const STARTING_MS = 60_000;
const LOOK_MS = 200;

/** The yard of `root`: joins the one that runs or starts there, else starts one. Throws as `startYard`. */
export async function openEmbedded(session: Session, root: string, options: EmbeddedOptions): Promise<EmbeddedYard> {
  const stateDir = path.join(root, STATE_DIR);
  const guests = path.join(stateDir, 'guests');
  const joined = await joinYard(session, stateDir, guests);
  if (joined !== undefined) return joined;
  const yard = await startYard({
    stateDir,
    agents: defaultAgents(),
    port: options.port,
    sandbox: options.sandbox,
    env: session.terminal.env,
    clock: session.terminal.clock,
    prng: session.prng,
    onEvent: yardReporter(session, false),
    agentsAfter: options.agentsAfter,
  });
  return {
    located: yard.located,
    own: true,
    async [Symbol.asyncDispose]() {
      await guestsLeft(session, guests);
      await yard[Symbol.asyncDispose]();
    },
  };
}

/** The yard that runs in `stateDir`, if one does; its owner keeps it until we have done. */
async function joinYard(session: Session, stateDir: string, guests: string): Promise<EmbeddedYard | undefined> {
  const lock = path.join(stateDir, 'yard.lock');
  if (holderOf(lock) === undefined) return undefined;
  using stack = new DisposableStack();
  stack.use(markGuest(guests));
  for (let waitedMs = 0; waitedMs < STARTING_MS; waitedMs += LOOK_MS) {
    const holder = holderOf(lock);
    if (holder === undefined || holder === -1) return undefined;
    const file = readYardFile(stateDir);
    if (file?.pid === holder) {
      const located: Located = { link: { address: file.address, token: readToken(file.tokenFile) }, from: 'yard' };
      using server = await connect(located, session);
      await server.server(session.signal);
      const kept = stack.move();
      return { located, own: false, [Symbol.asyncDispose]: async () => kept.dispose() };
    }
    await sleep(LOOK_MS, undefined, { signal: session.signal });
  }
  return undefined; // starting our own says who is in the way
}

/** Our yard ends with us, but not under somebody who has joined it. */
async function guestsLeft(session: Session, guests: string): Promise<void> {
  if (!hasGuests(guests)) return;
  say(session, 'Another command uses this yard; it stops when that has done. Ctrl-C stops it at once.');
  const leaving = new AbortController();
  using _interrupt = session.terminal.onInterrupt(() => leaving.abort());
  while (!leaving.signal.aborted && hasGuests(guests)) await sleep(LOOK_MS, undefined, { signal: leaving.signal }).catch(() => {});
}

/** Says on standard error what happens in the yard; what the sandbox does not guarantee is said once. */
export function yardReporter(session: Session, verbose: boolean): (event: ChildEvent) => void {
  let told = false;
  const left = new Set<string>();
  return (event) => {
    if (event.kind === 'left') {
      if (!left.has(event.name)) say(session, `${event.name} has ended in good order, as a drained agent does; it comes back once it may`);
      left.add(event.name);
    } else if (event.kind === 'died') {
      say(session, `switchyard: ${event.name} ended (${event.how}); it is started again. Its log: ${event.logFile}`);
    } else if (event.kind === 'given-up') say(session, `switchyard: ${event.name} does not start: ${event.how}`);
    else if (event.line.has('sandbox')) {
      const missing = event.line.get('missing');
      const notes = Array.isArray(missing) ? missing.map((one) => printable(String(one))) : [];
      const lacks = notes.filter((note) => SANDBOX_TRAITS.some((trait) => note.startsWith(trait)));
      if (verbose && !left.has(event.name))
        say(session, `${event.name} is ready (sandbox: ${printable(String(event.line.get('sandbox')))})`);
      if (lacks.length > 0 && !told)
        say(
          session,
          `Steps run in the sandbox "${printable(String(event.line.get('sandbox')))}", which does not guarantee: ${lacks.join('; ')}`,
        );
      told = true;
    } else if (verbose) say(session, `${event.name} is ready`);
  };
}

import { randomInt } from 'node:crypto';
import type { Prng } from '../base/prng.ts';
import { prngFrom } from '../base/prng.ts';
import { wrap, isFault, Fault } from '../base/fault.ts';
import type { BuildView } from './build-view.ts';
import { UsageError } from './exit.ts';
import { locateServer, type Located, type ServerOptions } from './locate.ts';
import type { BuildServer } from './rpc/client.ts';
import { wantsColor, wantsLiveView, type Terminal } from './terminal.ts';
import { styleFor, type Style } from './view/format.ts';
import { fit } from './view/width.ts';

/** Options that every command knows. */
export type CommonOptions = ServerOptions & { readonly output: 'text' | 'json' };

/** What a command works with. */
export type Session = {
  readonly terminal: Terminal;
  readonly options: CommonOptions;
  readonly json: boolean;
  /** Colours of standard output. */
  readonly style: Style;
  readonly prng: Prng;
  /** Where a picture is drawn, it says what is to be said: above itself. */
  readonly voice: { picture: ((text: string) => void) | undefined };
  /** The server that was tried, for messages. */
  readonly reached: { link: Located['link'] | undefined };
  /** Aborted by Ctrl-C, unless a command handles that itself. */
  readonly signal: AbortSignal;
};

export function sessionOf(terminal: Terminal, options: CommonOptions, signal: AbortSignal): Session {
  const style = styleFor(options.output === 'text' && wantsColor(terminal.stdout, terminal.env));
  return {
    terminal,
    options,
    json: options.output === 'json',
    style,
    prng: prngFrom(randomInt(2 ** 48 - 1)),
    signal,
    voice: { picture: undefined },
    reached: { link: undefined },
  };
}

/** Connects to the server that options, environment or directory name. */
export async function openServer(session: Session): Promise<BuildServer> {
  const located = locateServer(session.options, session.terminal);
  session.reached.link = located.link;
  return connect(located, session);
}

/** Connects to it. Where it is several servers, the first change from one to another is said. */
export async function connect(located: Located, session: Session): Promise<BuildServer> {
  const { connectBuildServer } = await import('./rpc/client.ts');
  return connectBuildServer(located.link, onMoved(session));
}

/** Says the first change from one server to another. */
export function onMoved(session: Session): (from: string, to: string, why: Fault) => void {
  let said = false;
  return (from, to, why) => {
    const what = why.code === 'PEER_UNAVAILABLE' || why.code === 'DEADLINE' ? 'cannot be reached' : 'cannot help at the moment';
    if (!said) say(session, `switchyard: ${from} ${what} (${plainReason(why)}): going on with ${to}`);
    said = true;
  };
}

/** A fault with the server's address, where that helps. */
export function atServer(error: unknown, { link }: Pick<BuildServer, 'link'>): unknown {
  if (isFault(error) && error.message.startsWith(HTTP_STATUS)) {
    return new Fault('PEER_UNAVAILABLE', `What answers at ${link.address} is no Switchyard server: ${error.message}`, {
      hint: 'Check the address: it is the one that the coordinator listens on.',
    });
  }
  if (!isFault(error, 'PEER_UNAVAILABLE') || error.message.startsWith('The server')) return error;
  return new Fault('PEER_UNAVAILABLE', `The server at ${link.address} cannot be reached: ${plainReason(error)}`, {
    hint: 'Check the address, and that the server runs ("switchyard doctor" helps).',
    cause: wrap(error, 'Calling the server'),
  });
}

/** What the gRPC library says where plain HTTP is spoken. */
const HTTP_STATUS = 'Received HTTP status code';

/** Why a call failed, without the words of the library that made it. */
export function plainReason(error: Fault): string {
  const last = /Last error: (?:Error: )?(.+?)\. Resolution note:/s.exec(error.message)?.[1];
  return last ?? error.message;
}

/** Writes one JSON document and a newline. */
export function printJson(session: Session, value: unknown): void {
  session.terminal.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

export function printLines(session: Session, lines: readonly string[]): void {
  for (const line of lines) session.terminal.stdout.write(`${line}\n`);
}

/** Says something about the work itself, beside the result: on standard error. */
export function say(session: Session, text: string): void {
  if (session.json) return;
  if (session.voice.picture === undefined) session.terminal.stderr.write(`${text}\n`);
  else session.voice.picture(text);
}

/** A line on the terminal that says what is going on until it is disposed or another one takes its place. */
export function status(session: Session): Disposable & { say(text: string): void } {
  const { stderr, env } = session.terminal;
  const shown = !session.json && wantsLiveView(stderr, env);
  const put = (text: string) => void (shown && stderr.write(`\r\u001b[K${text}`));
  const line = (text: string) => {
    put(fit(text, (stderr.columns ?? 80) - 1));
    session.voice.picture = text === '' || !shown ? undefined : (said) => put(`${said}\n${text}`);
  };
  return { say: line, [Symbol.dispose]: () => line('') };
}

/**
 * The build that `text` names: its id, the unique beginning of one (8 characters or more), or `latest`.
 * @throws {UsageError} where it names none or several.
 */
export async function resolveBuild(server: BuildServer, text: string, signal: AbortSignal): Promise<string> {
  if (/^b-[0-9a-z]{26}$/.test(text)) return text;
  const list = (limit: number): Promise<readonly BuildView[]> =>
    server.list({ labels: {}, phase: undefined, verdict: undefined, limit }, signal);
  if (text === 'latest') {
    const [newest] = await list(1);
    if (newest !== undefined) return newest.id;
    throw new UsageError('There are no builds yet', 'Submit one with "switchyard run".');
  }
  if (!/^b-[0-9a-z]{6,}$/.test(text)) {
    throw new UsageError(
      `"${text}" is not a build`,
      'Write its id (b-…), the beginning of it, or "latest"; "switchyard builds" lists them.',
    );
  }
  const found = (await list(1_000)).filter((build) => build.id.startsWith(text));
  const [only, second] = found;
  if (only !== undefined && second === undefined) return only.id;
  if (only === undefined) throw new UsageError(`No build begins with "${text}"`, '"switchyard builds" lists them.');
  throw new UsageError(`${found.length} builds begin with "${text}"`, `Write more of it: ${only.id}, ${second?.id ?? ''}, …`);
}

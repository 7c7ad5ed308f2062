import type { Clock } from '../../base/clock.ts';
import { openEntryAdmin, type EntryAdmin } from '../../cache/rpc/entry-admin.ts';
import type { ServerView } from '../build-view.ts';
import type { BuildServer } from '../rpc/client.ts';
import { serverClock } from '../server-clock.ts';
import { openServer, type Session } from '../session.ts';

/** The cache of a server, seen from one scope. */
export type CacheLink = Disposable & {
  readonly server: BuildServer;
  readonly view: ServerView;
  readonly admin: EntryAdmin;
  /** Project and the scope from which is read: the caller's own, or the one that was asked for. */
  readonly instanceName: string;
  readonly project: string;
  readonly scope: string;
  /** The instance name under which the entries of `only`, or of all scopes that are read, may be asked for. */
  listedFrom(only: string | undefined): string;
  /** The time that the server's times are in. */
  readonly clock: Clock;
};

/** Connects to the server and to its data plane. What the caller may see and do, the data plane decides. @throws {Fault} as `openServer` */
export async function openCache(session: Session, scope?: string): Promise<CacheLink> {
  using stack = new DisposableStack();
  const server = stack.use(await openServer(session));
  const view = await server.server(session.signal);
  const clock = await serverClock(server, session.terminal.clock, session.signal);
  const link = { ...server.link, address: view.dataAddress };
  session.reached.link = link; // from here on it is the data plane that answers or does not
  const admin = stack.use(openEntryAdmin(link));
  const kept = stack.move();
  const reads = scope ?? view.scope;
  const instanceName = `${view.project}/${reads}`;
  return {
    server,
    view,
    admin,
    instanceName,
    project: view.project,
    scope: reads,
    clock,
    // Admins may ask for scopes beside their own too, which are no instance name of theirs.
    listedFrom: (only) => (only === undefined || view.role === 'admin' ? instanceName : `${view.project}/${only}`),
    [Symbol.dispose]: () => kept.dispose(),
  };
}

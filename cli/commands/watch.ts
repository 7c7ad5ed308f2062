import { watchBuild } from '../run/watch-build.ts';
import { atServer, openServer, resolveBuild, type Session } from '../session.ts';

/** Follows a build that somebody else submitted; Ctrl-C only ends the watching. */
export async function watchCommand(session: Session, buildText: string, options: { readonly tail: number }): Promise<number> {
  using server = await openServer(session);
  try {
    const build = await resolveBuild(server, buildText, session.signal);
    const { code } = await watchBuild(session, server, build, {
      cancelOnInterrupt: false,
      upload: undefined,
      tailLines: options.tail,
      logsAfter: '',
    });
    return code;
  } catch (error) {
    throw atServer(error, server);
  }
}

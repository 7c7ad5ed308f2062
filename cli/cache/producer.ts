import type { BuildServer } from '../rpc/client.ts';
import { resolveBuild, type Session } from '../session.ts';

/** What stands for a build without being its whole id. */
const SHORT_BUILD = /^(latest|b-[0-9a-z]{6,25})$/;

/** Who made something, as somebody wrote it: `latest` and beginnings of ids are builds, as everywhere. @throws {UsageError} for none or several */
export async function producerNamed(session: Session, server: BuildServer, text: string): Promise<string> {
  return SHORT_BUILD.test(text) ? await resolveBuild(server, text, session.signal) : text;
}

import { join } from 'node:path';
import type { AuditSink } from '../../base/audit.ts';
import type { Authenticator } from '../../base/auth.ts';
import type { Env } from '../../base/env.ts';
import type { ServerTls } from '../../base/server-tls.ts';
import { openHttpFront, type HttpFront, type HttpFrontOptions } from '../http/front.ts';
import { openSpool } from '../http/spool.ts';
import { ToolEntries } from '../http/tool-entries.ts';
import { callerOf, viewOfCaller } from './access.ts';
import type { DataPlaneParts } from './service.ts';

export type ServeToolsOptions = {
  readonly listen: string;
  /** The data plane's own directory. */
  readonly dir: string;
  readonly bodyBytesMax: number;
  readonly drainMs: number;
  readonly authenticator: Authenticator;
  /** Takes note of requests that are refused for who makes them. */
  readonly audit: AuditSink;
  /** @default in clear */
  readonly tls: ServerTls | undefined;
  readonly onCall: NonNullable<HttpFrontOptions['onCall']>;
  /** @default nobody counts */
  readonly connections?: HttpFrontOptions['connections'];
  readonly store: Pick<DataPlaneParts, 'storeOf' | 'entries'>;
};

/** The HTTP caches of build tools, with the same rules of access as over gRPC. @throws {Fault} CONFIG_INVALID */
export async function serveTools({ dir, authenticator, store, ...options }: ServeToolsOptions, env: Env): Promise<HttpFront> {
  const { complete, raw } = store.entries;
  const entries = new ToolEntries({ storeOf: store.storeOf, complete, raw, clock: env.clock });
  const front = await openHttpFront({
    ...options,
    callerOf: (evidence) => callerOf(authenticator, evidence),
    viewOf: viewOfCaller,
    parts: { entries, spool: await openSpool(join(dir, 'http')) },
    env,
  });
  env.log.info('http-cache-listens', { address: front.address });
  return front;
}

import type { Env } from '../../../base/env.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import type { FloorOf } from '../../../cache/quotas.ts';
import type { Gate } from '../../../cache/rpc/access.ts';
import type { Call } from '../../../proto/handlers.ts';
import type { Relay } from '../../../proto/relay.ts';
import type { Role as CoordinatorRole, RoleSource } from '../../role/role.ts';
import type { Interest } from '../../shell/interest.ts';
import type { Shell } from '../../shell/shell.ts';

/** What the services of build tools stand on. */
export type ReapiOptions = Gate & {
  readonly role: RoleSource;
  /** Hands calls on to the coordinator that leads. */
  readonly relay: Relay;
  /** Where a caller's actions and inputs are. */
  readonly storeFor: (instanceName: string) => BlobStore;
  readonly floorOf: FloorOf;
  readonly interest: Interest;
  /** Names of platform properties that are left out of account. */
  readonly ignored: ReadonlySet<string>;
  /** How long an action waits for an agent of its kind to appear. */
  readonly noAgentMs: number;
  readonly env: Env;
};

/** With what only a leader has. */
export type Leading = ReapiOptions & Pick<Shell, 'core' | 'driver' | 'watch'> & { readonly over: AbortSignal };

/** Longest wait for somebody to lead. */
const LEADER_MS = 3_000;

/** This coordinator's part: to lead, or to hand the call on to the one that does. @throws {Fault} NO_LEADER, DRAINING */
export async function roleFor(options: ReapiOptions, call: Call): Promise<CoordinatorRole> {
  const now = options.role.current();
  return now.kind === 'leading' ? now : options.role.known(LEADER_MS, call.signal);
}

export function leadingOf(options: ReapiOptions, role: CoordinatorRole & { kind: 'leading' }): Leading {
  const { core, driver, watch } = role.shell;
  return { ...options, core, driver, watch, over: role.over };
}

import { scopeChain } from '../../base/caller.ts';
import type { Clock, TimeMs } from '../../base/clock.ts';
import type { GrantKey } from '../../base/grant.ts';
import type { GrantControl } from '../../cache/rpc/grant-control.ts';
import type { LeaseToken } from '../core/ids.ts';
import type { CoreView } from '../shell/core-view.ts';
import type { SessionMessage } from '../shell/sessions.ts';
import type { AgentIdentity } from './registration.ts';

/** What a coordinator makes grants with. */
export type GrantSource = {
  readonly key: GrantKey;
  /** Where the coordinator's own data plane is told of them. */
  readonly control: Pick<GrantControl, 'ended' | 'keep'>;
};

export type SessionGrantsOptions = {
  readonly source: GrantSource;
  readonly identity: AgentIdentity;
  /** Whether the agent shows grants: those of before protocol 2 do not know them. */
  readonly shown: boolean;
  readonly core: Pick<CoreView, 'lease' | 'build'>;
  /** The time that leases are in. */
  readonly now: () => TimeMs;
  readonly clock: Clock;
};

/** The grants of one agent's attempts. */
export interface SessionGrants {
  /** The grant for a lease that the agent holds, as long as that; empty where it holds it no more, or would not know what it is. */
  of(token: LeaseToken): string;
  /** To be called before messages leave; where it returns something, that is to be waited for. */
  leaving(batch: readonly SessionMessage[]): Promise<void> | undefined;
}

export function sessionGrants({ source, identity, shown, core, now, clock }: SessionGrantsOptions): SessionGrants {
  const grantFor = (token: LeaseToken): string | undefined => {
    const held = core.lease(token);
    const spec = held === undefined ? undefined : core.build(held.build)?.record.spec;
    if (held === undefined || spec === undefined) return undefined;
    const { project, scope } = spec;
    const expiresAt = clock.now() + Math.max(0, held.lease.expiresAt - now());
    const { name: agent, zone } = identity;
    return source.key.seal({ project, reads: scopeChain(scope), writes: scope, agent, zone, token, producer: held.build, expiresAt });
  };
  /** Where an agent cannot show them, the data plane has them before it hears of the lease. */
  const keepAll = async (tokens: readonly LeaseToken[]): Promise<void> => {
    await Promise.all(tokens.flatMap((token) => grantFor(token) ?? []).map((grant) => source.control.keep(grant)));
  };
  return {
    of: (token) => (shown ? (grantFor(token) ?? '') : ''),
    leaving(batch) {
      for (const token of batch.flatMap(endedBy)) source.control.ended(token);
      if (shown) return undefined;
      const held = batch.flatMap(heldBy);
      return held.length === 0 ? undefined : keepAll(held);
    },
  };
}

/** The attempts that are over with the message. */
function endedBy(message: SessionMessage): readonly LeaseToken[] {
  if (message.kind === 'result-reply' || message.kind === 'offer-withdrawn') return [message.token];
  return leasesIn(message).flatMap(({ token, verdict }) => (verdict === 'lost' ? token : []));
}

/** The attempts that go on, or begin, with the message. */
function heldBy(message: SessionMessage): readonly LeaseToken[] {
  if (message.kind === 'offer') return [message.token];
  return leasesIn(message).flatMap(({ token, verdict }) => (verdict === 'lost' ? [] : token));
}

function leasesIn(message: SessionMessage) {
  if (message.kind === 'heartbeat-reply') return message.leases;
  return message.kind === 'registered' ? message.held : [];
}

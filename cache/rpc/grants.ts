import type { Metadata } from '@grpc/grpc-js';
import type { Identity } from '../../base/auth.ts';
import type { Clock, TimeMs } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { formatDurationMs } from '../../base/quantity.ts';
import { GRANT_METADATA, GRANT_SKEW_MS, type Grant, type GrantKey } from '../../base/grant.ts';

/** An instance name taken apart; undefined is what the caller left out. */
export type Instance = { readonly project: string | undefined; readonly scope: string | undefined };

type Agent = Identity & { readonly kind: 'agent' };

/**
 * Tells live grants from all others. A grant's signature and end say it all, so that any data plane with the key can: beside them
 * it only remembers which attempts it was told have ended, and grants of agents that show none themselves.
 */
export interface Grants {
  /** The live grant with which the agent acts. @throws {Fault} FORBIDDEN; GRANT_EXPIRED where a renewal may be on its way */
  grantOf(agent: Agent, shown: Metadata, wanted: Instance): Grant;
  /** Whether the attempt has not ended as far as is known here. Its grant may have expired: a renewal may be on its way. */
  isOpen(token: string): boolean;
  /** The attempts have ended: from now on nothing is done with their grants. */
  end(tokens: readonly string[]): void;
  /** Keeps the grants for agents that cannot show them. What is none of ours is left out. */
  keep(grants: readonly string[]): void;
}

/** What a coordinator says of its attempts. True once it holds. */
export function takeGrants(
  grants: Grants,
  news: { readonly endedTokens: readonly string[]; readonly keptGrants: readonly string[] },
): true {
  grants.keep(news.keptGrants);
  grants.end(news.endedTokens); // after it: what has ended is not kept
  return true;
}

/** Attempts that are remembered as ended. Each is kept until its last grant has expired in any case. */
const ENDED_MAX = 200_000;
const KEPT_MAX = 100_000;
/** No lease is granted for longer. */
const GRANT_MS_MAX = 15 * 60_000;

/** Without a key (a data plane that serves no coordinator) agents are refused altogether. */
export function openGrants(key: GrantKey | undefined, clock: Clock): Grants {
  /** By token, when it can be forgotten; oldest first. By monotonic time: the clock on the wall may jump. */
  const ended = new Map<string, TimeMs>();
  const kept = new KeptGrants(clock);
  return {
    grantOf(agent, shown, wanted) {
      const [text] = shown.get(GRANT_METADATA);
      if (typeof text !== 'string') {
        const grant = kept.find(agent, wanted);
        if (grant !== undefined) return grant;
        throw refused(
          'An agent’s credential alone opens nothing: the call must show the grant of an attempt that it runs now',
          `The offer has it; it goes into the metadata "${GRANT_METADATA}". An agent too old to know it uses the leader's data plane.`,
        );
      }
      const grant = liveGrant(key, text, clock.now());
      if (grant.agent !== agent.name || grant.zone !== agent.zone) throw refused('The grant that came with the call is another agent’s');
      if (ended.has(grant.token)) throw refused('The attempt that the grant was for has ended');
      return grant;
    },
    isOpen: (token) => !ended.has(token),
    end(tokens) {
      const now = clock.monotonic();
      for (const [token, until] of ended) {
        if (until > now && ended.size < ENDED_MAX) break;
        ended.delete(token);
      }
      for (const token of tokens) {
        ended.delete(token);
        ended.set(token, now + GRANT_MS_MAX);
        kept.forget(token);
      }
    },
    keep(grants) {
      for (const text of grants) {
        const verdict = key?.open(text, clock.now()) ?? { kind: 'bad' };
        if (verdict.kind === 'good' && !ended.has(verdict.grant.token)) kept.add(verdict.grant);
      }
    },
  };
}

/** @throws {Fault} FORBIDDEN, GRANT_EXPIRED */
function liveGrant(key: GrantKey | undefined, text: string, now: TimeMs): Grant {
  const verdict = key?.open(text, now) ?? { kind: 'bad' };
  if (verdict.kind === 'bad') {
    const hint = 'Are its coordinator and this data plane given the same --signing-key-file?';
    throw refused('The grant that came with the call is none of this yard', hint);
  }
  if (verdict.kind === 'expired') {
    const ago = formatDurationMs(Math.ceil((now - verdict.grant.expiresAt) / 1_000) * 1_000);
    const hint =
      "The next renewal of the lease brings another. Where each is refused, this host's clock is ahead of the coordinator's that made it.";
    throw new Fault('GRANT_EXPIRED', `The grant that came with the call has run out, ${ago} ago by the clock of this data plane`, { hint });
  }
  return verdict.grant;
}

/** The newest grant of each attempt on agents that show none. */
class KeptGrants {
  readonly #clock: Clock;
  /** By credential, then by token. */
  readonly #grants = new Map<string, Map<string, Grant>>();
  readonly #credentials = new Map<string, string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  find(agent: Agent, { project, scope }: Instance): Grant | undefined {
    for (const [token, grant] of this.#grants.get(agent.name) ?? []) {
      if (this.#clock.now() >= grant.expiresAt + GRANT_SKEW_MS) this.forget(token);
      else if (grant.project === project && grant.writes === scope && grant.zone === agent.zone) return grant;
    }
    return undefined;
  }

  /** Beyond the bound the oldest one is forgotten; its agent's next renewal brings it back. */
  add(grant: Grant): void {
    const { agent, token } = grant;
    this.forget(token);
    this.#credentials.set(token, agent);
    const own = this.#grants.get(agent) ?? new Map<string, Grant>();
    this.#grants.set(agent, own.set(token, grant));
    const [oldest] = this.#credentials.keys();
    if (this.#credentials.size > KEPT_MAX && oldest !== undefined) this.forget(oldest);
  }

  forget(token: string): void {
    const credential = this.#credentials.get(token);
    if (credential === undefined) return;
    this.#credentials.delete(token);
    const own = this.#grants.get(credential);
    own?.delete(token);
    if (own?.size === 0) this.#grants.delete(credential);
  }
}

function refused(message: string, hint?: string): Fault {
  return new Fault('FORBIDDEN', message, hint === undefined ? {} : { hint });
}

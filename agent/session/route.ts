import { assert } from '../../base/assert.ts';
import type { Prng } from '../../base/prng.ts';

/** Redirects that are followed in one round: more can only be coordinators that point at each other. */
const REDIRECTS_MAX = 3;

/**
 * Which coordinator to dial next. A round tries each known one once, the last good one first, the others from a random one
 * on, so that agents spread over them; whoever is named as the leader is tried in between. Between rounds its owner waits.
 */
export class Route {
  readonly #known: readonly string[];
  readonly #prng: Prng;
  #good: string | undefined;
  #silent: string | undefined;
  #round: string[] = [];
  #size = 0;
  #leader: string | undefined;
  #redirects = 0;
  #refusals = 0;

  /** `known` has one address at least, host:port each. */
  constructor(known: readonly string[], prng: Prng) {
    assert(known.length > 0, 'an agent knows a coordinator');
    this.#known = known;
    this.#prng = prng;
    this.startRound();
  }

  /** The one to dial now. */
  get address(): string {
    return this.#leader ?? this.#round[0] ?? '';
  }

  /** Begins anew, as after a session that broke. */
  startRound(): void {
    const start = this.#known.length > 1 ? Math.floor(this.#prng.next() * this.#known.length) : 0;
    const others = [...this.#known.slice(start), ...this.#known.slice(0, start)].filter((address) => address !== this.#good);
    const order = this.#good === undefined ? others : [this.#good, ...others];
    const silent = order.filter((address) => address === this.#silent);
    this.#round = [...order.filter((address) => address !== this.#silent), ...silent];
    this.#size = this.#round.length;
    this.#leader = undefined;
    this.#redirects = 0;
    this.#refusals = 0;
  }

  /** The current one has taken the agent. */
  registered(): void {
    this.#good = this.address;
    this.#silent = undefined;
    this.startRound();
  }

  /** Whether there are coordinators beside the current one. */
  get hasOthers(): boolean {
    return this.#known.length > 1;
  }

  /** The one that took the agent answers no more, though its connection stands: until one has taken the agent it is tried last. */
  fellSilent(): void {
    this.#silent = this.#good;
    this.#good = undefined;
  }

  /** The current one does not do for now. True where others are left to be tried in this round; else a new one begins. */
  failed(): boolean {
    this.#leader = undefined;
    this.#round.shift();
    if (this.#round.length > 0) return true;
    this.startRound();
    return false;
  }

  /** The current one will never take this agent. True where all of this round have said so; else `failed` is to follow. */
  refused(): boolean {
    this.#refusals += 1;
    return this.#refusals >= this.#size;
  }

  /** The current one names the leader. True where that one is now the one to dial. */
  redirected(leader: string): boolean {
    if (leader === this.address || this.#redirects >= REDIRECTS_MAX) return false;
    this.#redirects += 1;
    this.#leader = leader;
    return true;
  }
}

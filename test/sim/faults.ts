import { present } from '../../base/assert.ts';
import type { Prng } from '../../base/prng.ts';
import type { SimAgent } from './agent.ts';
import type { Client } from './client.ts';
import type { Network } from './network.ts';
import type { Peer } from './peer.ts';
import type { FaultRates, Plan } from './plan.ts';
import type { Store } from './store.ts';
import type { World } from './world.ts';

export type FaultsOptions = {
  readonly world: World;
  readonly plan: Plan;
  readonly network: Network;
  readonly store: Store;
  readonly peers: readonly Peer[];
  readonly agents: readonly SimAgent[];
  readonly client: Client;
  /** The store was restarted and lacks something now. */
  readonly lost: () => void;
};

/** How a kind of fault is called in reports. */
const NAMES: Readonly<Record<keyof FaultRates, string>> = {
  linkBreakMs: 'stream cut',
  partitionMs: 'agent cut off',
  oneWayCutMs: 'one-way cut, agent and coordinator',
  agentCrashMs: 'agent killed',
  agentStallMs: 'agent stalled',
  agentDrainMs: 'agent drained',
  coordinatorCrashMs: 'coordinator killed',
  coordinatorStallMs: 'coordinator stalled',
  coordinatorEndMs: 'coordinator ended by SIGTERM',
  ledgerOutageMs: 'ledger outage',
  ledgerCutMs: 'one-way cut, coordinator and ledger',
  ledgerRestartMs: 'ledger restarted',
  ledgerLossMs: 'ledger lost commits',
  holdMs: 'hold placed',
  cancelMs: 'cancel',
  retryMs: 'retry by a person',
  expireMs: 'build expired',
};

/** Injects what the plan says, each kind at its own rate, until it is stopped. */
export class Faults {
  readonly #options: FaultsOptions;
  readonly #prng: Prng;
  #on = true;

  constructor(options: FaultsOptions) {
    this.#options = options;
    this.#prng = options.world.prng('faults');
    for (const kind of Object.keys(NAMES)) this.#schedule(kind as keyof FaultRates); // the table's own keys
  }

  /** Nothing more goes wrong, and what is broken heals. */
  stop(): void {
    const { world, network, store, peers, agents, client } = this.#options;
    world.trace('faults stop');
    this.#on = false;
    network.heal();
    store.downUntil = 0;
    for (const peer of peers) peer.wake();
    for (const agent of agents) agent.wake();
    client.liftAll();
    // Calls that were under way when faults stopped may still place a hold.
    world.after(60_000, () => client.liftAll());
  }

  #schedule(kind: keyof FaultRates): void {
    const { world, plan } = this.#options;
    const meanMs = plan.faults[kind];
    if (meanMs === undefined) return;
    world.after(1 - Math.log(1 - this.#prng.next()) * meanMs, () => {
      if (!this.#on) return;
      world.fault(NAMES[kind]);
      this.#inject(kind);
      this.#schedule(kind);
    });
  }

  #one<T>(values: readonly T[]): T {
    return present(values[this.#prng.below(values.length)], 'there is one at least');
  }

  /** Mostly the coordinator that leads, because it has more to lose. */
  #peer(): Peer {
    const { peers } = this.#options;
    const leading = peers.filter((peer) => peer.leading !== undefined);
    return this.#one(leading.length > 0 && this.#prng.below(4) > 0 ? leading : peers);
  }

  #inject(kind: keyof FaultRates): void {
    const { network, client, agents, peers, plan } = this.#options;
    const prng = this.#prng;
    const agent = this.#one(agents);
    switch (kind) {
      case 'linkBreakMs':
        return network.breakOne();
      case 'partitionMs':
        return network.partition(agent.plan.id, prng.below(90_000));
      case 'oneWayCutMs':
        return network.cutOneWay(agent.plan.id, this.#one(peers).address, this.#one(['agent', 'coordinator']), prng.below(90_000));
      case 'agentCrashMs':
        return agent.crash('kill -9');
      case 'agentStallMs':
        return agent.stall(prng.below(60_000));
      case 'agentDrainMs':
        return agent.drain();
      case 'coordinatorCrashMs':
        return this.#peer().crash();
      case 'coordinatorStallMs':
        return this.#peer().stall(prng.below(this.#one([plan.termTtlMs, 4 * plan.termTtlMs, 60_000])));
      case 'coordinatorEndMs':
        return this.#peer().terminate();
      case 'ledgerCutMs':
        return this.#peer().cutLedger(this.#one(['there', 'back']), prng.below(this.#one([plan.termTtlMs, 20_000])));
      case 'ledgerOutageMs':
      case 'ledgerRestartMs':
      case 'ledgerLossMs':
        return this.#damageLedger(kind);
      case 'holdMs':
        return client.holdSomething(this.#holdTargets());
      case 'cancelMs':
        return client.cancelSomething();
      case 'retryMs':
        return client.retrySomething();
      case 'expireMs':
        return client.expireSomething();
      default:
        return kind satisfies never;
    }
  }

  #damageLedger(kind: 'ledgerOutageMs' | 'ledgerRestartMs' | 'ledgerLossMs'): void {
    const { world, store, plan } = this.#options;
    const prng = this.#prng;
    const down = prng.below(this.#one([500, plan.termTtlMs, 20_000]));
    if (kind === 'ledgerOutageMs' || prng.below(2) === 0) store.downUntil = Math.max(store.downUntil, world.now + down);
    if (kind === 'ledgerOutageMs') return world.trace(`ledger: answers nobody for ${down} ms`);
    // Mostly the last second or so; now and then everything.
    const most = this.#one([2, 10, 60, prng.below(8) === 0 ? store.length : 10]);
    const count = kind === 'ledgerRestartMs' ? 0 : 1 + prng.below(most);
    store.restart(count);
    world.trace(`ledger: restarted, without the last ${count} of its deeds`);
    if (count > 0) this.#options.lost();
  }

  #holdTargets(): readonly string[] {
    return this.#options.plan.agents.flatMap(({ id, labels }) => [
      `agent:${id}`,
      `pool:${labels['cluster']}/${labels['pool']}`,
      `cluster:${labels['cluster']}`,
    ]);
  }
}

import type { FaultCode } from '../../base/fault.ts';
import type { Prng } from '../../base/prng.ts';
import type { AgentMessage, CoordinatorMessage } from '../../agent/session/message.ts';
import type { AgentId } from '../../coordinator/core/ids.ts';
import type { World } from './world.ts';

/** One end of a stream as its owner sees it. */
export type AgentEnd = { received(message: CoordinatorMessage): void; connected(): void; broke(code: FaultCode, message: string): void };
export type CoordinatorEnd = { received(message: AgentMessage): void; broke(): void };

type Side = 'agent' | 'coordinator';
type Direction = { readonly from: Side; lastAt: number };

/** Longest time until an end notices that nobody is at the other one: HTTP/2 keepalive. */
const KEEPALIVE_MS = 30_000;

/**
 * A stream between an agent and a coordinator: each direction delivers in order, late or not at all, until the stream
 * breaks; then each end learns of it in its own time, and what was under way is gone. During a partition nothing arrives;
 * what was sent comes late if the stream outlives it.
 */
export class Link {
  readonly agent: AgentId;
  readonly #network: Network;
  readonly #toAgent: Direction = { from: 'coordinator', lastAt: 0 };
  readonly #toCoordinator: Direction = { from: 'agent', lastAt: 0 };
  readonly #deaf = new Set<Side>();
  #dead = false;
  agentEnd: AgentEnd | undefined;
  coordinatorEnd: CoordinatorEnd | undefined;

  constructor(network: Network, agent: AgentId) {
    this.#network = network;
    this.agent = agent;
  }

  toCoordinator(message: AgentMessage): void {
    this.#send(this.#toCoordinator, () => this.coordinatorEnd?.received(message));
  }

  toAgent(message: CoordinatorMessage): void {
    this.#send(this.#toAgent, () => this.agentEnd?.received(message));
  }

  connected(): void {
    this.#send(this.#toAgent, () => this.agentEnd?.connected());
  }

  /** One end closes the stream, or its process dies: it hears nothing more at once, the other end hears of it. */
  close(side: Side, code: FaultCode = 'PEER_UNAVAILABLE'): void {
    if (this.#deaf.has(side)) return;
    this.#deaf.add(side);
    const other: Side = side === 'agent' ? 'coordinator' : 'agent';
    this.#send(side === 'agent' ? this.#toCoordinator : this.#toAgent, () => this.#hearEnd(other, code));
    this.#network.forget(this);
  }

  /** The stream breaks in the middle: both ends hear of it, each in its own time. */
  break(prng: Prng): void {
    if (this.#dead) return;
    this.#dead = true;
    const { world } = this.#network;
    for (const side of ['agent', 'coordinator'] as const) {
      world.after(prng.below(4) === 0 ? prng.below(KEEPALIVE_MS) : prng.below(50), () => this.#hearEnd(side, 'PEER_UNAVAILABLE'));
    }
    this.#network.forget(this);
  }

  #hearEnd(side: Side, code: FaultCode): void {
    if (this.#deaf.has(side)) return;
    this.#deaf.add(side);
    if (side === 'agent') this.agentEnd?.broke(code, 'the stream ended');
    else this.coordinatorEnd?.broke();
  }

  #send(direction: Direction, deliver: () => void): void {
    if (this.#dead) return;
    const { world } = this.#network;
    const at = Math.max(direction.lastAt, world.now + this.#network.latency(), this.#network.healedAt(this.agent));
    direction.lastAt = at;
    const to: Side = direction.from === 'agent' ? 'coordinator' : 'agent';
    world.after(at - world.now, () => {
      if (this.#dead || this.#deaf.has(to)) return;
      // A partition that began meanwhile holds the message up.
      const wait = this.#network.healedAt(this.agent) - world.now;
      if (wait > 0) return this.#send(direction, deliver);
      deliver();
    });
  }
}

export class Network {
  readonly world: World;
  readonly #prng: Prng;
  readonly #latencyMaxMs: number;
  readonly #partitions = new Map<AgentId, number>();
  readonly #links = new Set<Link>();
  /** Where dials arrive; undefined while no coordinator listens. */
  accept: ((link: Link) => CoordinatorEnd) | undefined;

  constructor(world: World, latencyMaxMs: number) {
    this.world = world;
    this.#prng = world.prng('network');
    this.#latencyMaxMs = latencyMaxMs;
  }

  latency(): number {
    // Mostly quick, sometimes as slow as can be.
    return this.#prng.below(10) === 0 ? this.#prng.below(this.#latencyMaxMs + 1) : this.#prng.below(Math.ceil(this.#latencyMaxMs / 10) + 1);
  }

  /** When the agent's side of the network is whole again; in the past where it is. */
  healedAt(agent: AgentId): number {
    return this.#partitions.get(agent) ?? 0;
  }

  partition(agent: AgentId, forMs: number): void {
    this.#partitions.set(agent, this.world.now + forMs);
    this.world.trace(`network: ${agent} cut off for ${forMs} ms`);
    for (const link of [...this.#links]) {
      // The ends' keepalives give the stream up, unless the network is back first.
      if (link.agent !== agent) continue;
      const noticed = 5_000 + this.#prng.below(KEEPALIVE_MS - 5_000);
      if (noticed < forMs) this.world.after(noticed, () => link.break(this.#prng));
    }
  }

  heal(): void {
    this.#partitions.clear();
  }

  breakOne(): void {
    const links = [...this.#links];
    const link = links[this.#prng.below(Math.max(1, links.length))];
    if (link === undefined) return;
    this.world.trace(`network: a stream of ${link.agent} breaks`);
    link.break(this.#prng);
  }

  dial(agent: AgentId, end: AgentEnd): Link {
    const link = new Link(this, agent);
    link.agentEnd = end;
    this.#links.add(link);
    const wait = Math.max(0, this.healedAt(agent) - this.world.now);
    if (wait > 10_000) {
      this.world.after(10_000, () => link.break(this.#prng));
      return link;
    }
    this.world.after(wait + this.latency(), () => {
      const { accept } = this;
      if (accept === undefined) return link.close('coordinator');
      link.coordinatorEnd = accept(link);
      link.connected();
    });
    return link;
  }

  forget(link: Link): void {
    this.#links.delete(link);
  }
}

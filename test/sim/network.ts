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
/** Where dials to an address arrive; the link is connected once its coordinator says so. */
export type Listener = (link: Link) => CoordinatorEnd;

/** Longest time until an end notices that nobody is at the other one: HTTP/2 keepalive. */
const KEEPALIVE_MS = 30_000;

/**
 * A stream between an agent and a coordinator: each direction delivers in order, late or not at all, until the stream
 * breaks; then each end learns of it in its own time, and what was under way is gone. During a partition nothing arrives;
 * what was sent comes late if the stream outlives it.
 */
export class Link {
  readonly agent: AgentId;
  /** The coordinator's. */
  readonly address: string;
  readonly #network: Network;
  readonly #toAgent: Direction = { from: 'coordinator', lastAt: 0 };
  readonly #toCoordinator: Direction = { from: 'agent', lastAt: 0 };
  readonly #deaf = new Set<Side>();
  #dead = false;
  agentEnd: AgentEnd | undefined;
  coordinatorEnd: CoordinatorEnd | undefined;

  constructor(network: Network, agent: AgentId, address: string) {
    this.#network = network;
    this.agent = agent;
    this.address = address;
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
    const at = Math.max(direction.lastAt, world.now + this.#network.latency(), this.#network.healedAt(this, direction.from));
    direction.lastAt = at;
    const to: Side = direction.from === 'agent' ? 'coordinator' : 'agent';
    world.after(at - world.now, () => {
      if (this.#dead || this.#deaf.has(to)) return;
      // A partition that began meanwhile holds the message up.
      const wait = this.#network.healedAt(this, direction.from) - world.now;
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
  /** By sender and receiver: until when nothing gets from the one to the other. */
  readonly #cuts = new Map<string, number>();
  readonly #links = new Set<Link>();
  /** By address. */
  readonly listeners = new Map<string, Listener>();

  constructor(world: World, latencyMaxMs: number) {
    this.world = world;
    this.#prng = world.prng('network');
    this.#latencyMaxMs = latencyMaxMs;
  }

  latency(): number {
    // Mostly quick, sometimes as slow as can be.
    return this.#prng.below(10) === 0 ? this.#prng.below(this.#latencyMaxMs + 1) : this.#prng.below(Math.ceil(this.#latencyMaxMs / 10) + 1);
  }

  /** When messages of this direction arrive again; in the past where they do. */
  healedAt({ agent, address }: Pick<Link, 'agent' | 'address'>, from: Side): number {
    const pair = from === 'agent' ? `${agent}>${address}` : `${address}>${agent}`;
    return Math.max(this.#partitions.get(agent) ?? 0, this.#cuts.get(pair) ?? 0);
  }

  /** One direction between an agent and a coordinator is cut, the other goes on. */
  cutOneWay(agent: AgentId, address: string, from: Side, forMs: number): void {
    const [sender, receiver] = from === 'agent' ? [agent, address] : [address, agent];
    this.#cuts.set(`${sender}>${receiver}`, this.world.now + forMs);
    this.world.trace(`network: nothing gets from ${sender} to ${receiver} for ${forMs} ms`);
    this.#noticeLater((link) => link.agent === agent && link.address === address, forMs);
  }

  partition(agent: AgentId, forMs: number): void {
    this.#partitions.set(agent, this.world.now + forMs);
    this.world.trace(`network: ${agent} cut off for ${forMs} ms`);
    this.#noticeLater((link) => link.agent === agent, forMs);
  }

  /** The ends' keepalives give the streams up, unless the network is back first. */
  #noticeLater(which: (link: Link) => boolean, forMs: number): void {
    for (const link of [...this.#links]) {
      if (!which(link)) continue;
      const noticed = 5_000 + this.#prng.below(KEEPALIVE_MS - 5_000);
      if (noticed < forMs) this.world.after(noticed, () => link.break(this.#prng));
    }
  }

  heal(): void {
    this.#partitions.clear();
    this.#cuts.clear();
  }

  breakOne(): void {
    const links = [...this.#links];
    const link = links[this.#prng.below(Math.max(1, links.length))];
    if (link === undefined) return;
    this.world.trace(`network: a stream of ${link.agent} breaks`);
    link.break(this.#prng);
  }

  dial(agent: AgentId, address: string, end: AgentEnd): Link {
    const link = new Link(this, agent, address);
    link.agentEnd = end;
    this.#links.add(link);
    const healedAt = Math.max(this.healedAt(link, 'agent'), this.healedAt(link, 'coordinator'));
    const wait = Math.max(0, healedAt - this.world.now);
    if (wait > 10_000) {
      this.world.after(10_000, () => link.break(this.#prng));
      return link;
    }
    this.world.after(wait + this.latency(), () => {
      const accept = this.listeners.get(address);
      if (accept === undefined) return link.close('coordinator');
      link.coordinatorEnd = accept(link);
    });
    return link;
  }

  /** The coordinator's process is gone, and with it its end of every stream. */
  closeAll(address: string): void {
    for (const link of [...this.#links]) if (link.address === address) link.close('coordinator');
  }

  forget(link: Link): void {
    this.#links.delete(link);
  }
}

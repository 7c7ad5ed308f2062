import { assert } from '../../base/assert.ts';
import type { Labels } from '../../base/labels.ts';
import type { Digest } from '../../cache/digest.ts';
import { Bag } from './bag.ts';
import { asksForTheSame, classKeyOf, classOf, groupKeyOf, groupOf, hasRoom, matches, specTextOf } from './classes.ts';
import type { AgentId, SessionId } from './ids.ts';
import type { Limits } from './limits.ts';
import { chargePool, turnsAway, useOf } from './pool-limits.ts';
import { hasPreferences } from './preference.ts';
import { type AgentGroup, AgentNode, type HoldNode, PoolNode, type ProjectNode, type RequirementClass, type StepNode } from './nodes.ts';
import type { StepSpec } from './spec.ts';
import type { AgentFacts, SessionRecord } from './state.ts';
import { membershipOf } from '../../topology/membership.ts';
import { poolRules, type Topology } from '../../topology/model.ts';

/** What keeps an agent from getting anything new, whatever room it has; the first of several. `why-kept.ts` has the words. */
export type Keeper =
  | 'disconnected'
  | 'outside'
  | 'draining'
  | 'breaker-open'
  | 'breaker-probing'
  | 'pool-open'
  | 'pool-probing'
  | 'hold'
  | 'cordon'
  | 'pool-degraded';

/** Agents with news that are remembered one by one; those of more wake the classes at once. */
const ROOMY = 4;

/**
 * Agents and the classes of steps that wait for them. Keeps which groups of agents match which class, what is free, and
 * which classes are worth a try (`hot`). It holds no rule of its own about who gets what: `placement.ts` has those.
 */
export class Fleet {
  readonly agents = new Map<AgentId, AgentNode>();
  /** Agents by their newest session. */
  readonly sessions = new Map<SessionId, AgentNode>();
  readonly groups = new Map<string, AgentGroup>();
  /** Classes with queued or parked steps. */
  readonly active = new Bag<RequirementClass>();
  /** Classes whose first step may find an agent now. */
  readonly hot = new Set<RequirementClass>();
  /** Agents that gained room: any active class may fit on them now. To wake all of those for one place would be waste. */
  readonly roomy = new Set<AgentNode>();
  readonly holds = new Map<string, HoldNode>();
  /** Pools with agents, and those whose breaker is open; by `<cluster>/<pool>`. */
  readonly pools = new Map<string, PoolNode>();
  /** The same of clusters, by name. */
  readonly clusters = new Map<string, PoolNode>();
  topology: Topology;
  /** Whether the topology says where steps rather go. */
  prefers: boolean;
  readonly #limits: Limits;
  readonly #classes = new Map<string, RequirementClass>();
  /** The same by the selector as it was written, so that it is not parsed for each step; may be emptied at any time. */
  readonly #byText = new Map<string, RequirementClass>();
  /** The class that was asked for last: the steps of a build often ask for the same one after the other. */
  #newest: { readonly spec: StepSpec; readonly class: RequirementClass } | undefined;
  /** Classes that were idle, and may be again; a prefix of them makes room for others, but for those used meanwhile. */
  readonly #idle = new Set<RequirementClass>();
  /** Classes with parked steps. */
  readonly #parking = new Set<RequirementClass>();
  /** Agents by the trees that they hold. */
  readonly #holders = new Map<Digest, Set<AgentNode>>();
  #ordinal = 0;

  constructor(limits: Limits, topology: Topology) {
    this.topology = topology;
    this.prefers = hasPreferences(topology);
    this.#limits = limits;
  }

  nextOrdinal(): number {
    this.#ordinal += 1;
    return this.#ordinal;
  }

  /** The agent of that name; one that only leases speak of so far has no session. */
  agent(id: AgentId): AgentNode {
    const known = this.agents.get(id);
    if (known !== undefined) return known;
    const agent = new AgentNode(id, this.nextOrdinal());
    this.agents.set(id, agent);
    return agent;
  }

  setSession(session: SessionRecord): void {
    const agent = this.agent(session.facts.agent);
    if (agent.session !== undefined) this.sessions.delete(agent.session.session);
    agent.session = session;
    this.sessions.set(session.session, agent);
    this.#place(agent, session);
  }

  /** The topology holds from now on. What agents run goes on, wherever they are now. */
  obey(topology: Topology): void {
    this.topology = topology;
    this.prefers = hasPreferences(topology);
    for (const pool of this.pools.values()) pool.limits = poolRules(topology, pool.name)?.limits;
    for (const agent of this.agents.values()) {
      if (agent.session === undefined) continue;
      this.#place(agent, agent.session);
      this.refresh(agent, true);
    }
  }

  /** Gives the agent the place that the topology has for it. */
  #place(agent: AgentNode, { facts }: SessionRecord): void {
    const place = membershipOf(this.topology, facts);
    agent.outside = place.kind === 'outsider' ? place.why : undefined;
    agent.labels = place.kind === 'outsider' ? facts.labels : place.labels;
    this.#joinCluster(agent, agent.labels);
    this.#joinPool(agent, agent.labels);
    const key = groupKeyOf(agent.labels, facts.capacity, facts.sandbox, this.topology);
    if (agent.group?.key === key) return;
    this.#leaveGroup(agent);
    this.#joinGroup(agent, facts, key);
  }

  forget(id: AgentId): void {
    const agent = this.agents.get(id);
    if (agent === undefined) return;
    assert(agent.leases.size === 0, 'an agent with leases is not forgotten');
    this.#leaveGroup(agent);
    this.#leavePool(agent);
    this.#leaveCluster(agent);
    for (const root of agent.parts.keys()) this.#dropPart(agent, root);
    if (agent.session !== undefined) this.sessions.delete(agent.session.session);
    this.agents.delete(id);
  }

  /** To be called when the core forgets the project. */
  forgetProject(project: ProjectNode): void {
    for (const wanted of this.#classes.values()) wanted.queue.forget(project);
  }

  /** The step's class; made on first use. */
  classOf(step: StepNode): RequirementClass {
    if (step.requirements?.retired === false) return step.requirements;
    const newest = this.#newest;
    if (newest?.class.retired === false && asksForTheSame(newest.spec, step.spec)) return (step.requirements = newest.class);
    const wanted = this.#findClass(step);
    this.#newest = { spec: step.spec, class: wanted };
    return (step.requirements = wanted);
  }

  #findClass(step: StepNode): RequirementClass {
    const text = specTextOf(step.spec);
    const same = this.#byText.get(text);
    if (same?.retired === false) return same;
    const key = classKeyOf(step.spec);
    let wanted = this.#classes.get(key);
    if (wanted === undefined) {
      wanted = classOf(step.spec, key, this.nextOrdinal());
      for (const group of this.groups.values()) if (matches(group, wanted)) wanted.addGroup(group);
      this.#classes.set(key, wanted);
      this.#setIdle(wanted);
    }
    if (this.#byText.size >= 4 * this.#limits.idleClasses) this.#byText.clear();
    this.#byText.set(text, wanted);
    return wanted;
  }

  enqueue(step: StepNode): void {
    const wanted = this.classOf(step);
    // Agents may have gained room while there was nobody to give it to.
    if (wanted.queue.peek() === undefined) wanted.stuck = false;
    wanted.queue.push(step);
    this.active.add(wanted);
    wanted.usedSinceIdle = true;
    if (!wanted.stuck) this.hot.add(wanted);
  }

  /**
   * To be called after what the project uses, or its quota, has changed. Costs the classes of which it has queued steps, however
   * many those are.
   */
  obeyQuota(project: ProjectNode): void {
    for (let at = 0; at < project.queues.size; at += 1) {
      const queue = project.queues.at(at);
      const head = queue?.peek();
      const change = queue?.owner.obeyQuota(queue);
      if (head === undefined || change === undefined) continue;
      const wanted = this.classOf(head);
      if (change === 'back') {
        wanted.stuck = false;
        this.hot.add(wanted);
      } else if (wanted.queue.peek() === undefined) this.unreserve(wanted); // no agent is kept free for those that may not run
    }
  }

  /** Takes a queued step out of its class, wherever it waits there. */
  dequeue(step: StepNode): void {
    const wanted = this.classOf(step);
    if (step.parkedUntil === undefined) wanted.queue.remove(step);
    else this.#leaveParking(step, wanted);
    if (wanted.queue.size + wanted.parked.size > 0) return;
    this.active.delete(wanted);
    this.hot.delete(wanted);
    wanted.stuck = false;
    this.unreserve(wanted);
    this.#setIdle(wanted);
  }

  /** Sets a queued step aside until a better agent has room; `unpark` or `dequeue` bring it back. */
  park(step: StepNode, until: number): void {
    const wanted = this.classOf(step);
    wanted.queue.remove(step);
    wanted.parked.add(step);
    this.#parking.add(wanted);
    step.parkedUntil = until;
  }

  unpark(step: StepNode): void {
    if (step.parkedUntil === undefined) return;
    this.#leaveParking(step, this.classOf(step));
    this.enqueue(step);
  }

  #leaveParking(step: StepNode, wanted: RequirementClass): void {
    wanted.parked.delete(step);
    if (wanted.parked.size === 0) this.#parking.delete(wanted);
    step.parkedUntil = undefined;
  }

  reserve(agent: AgentNode, wanted: RequirementClass): void {
    agent.reservedFor = wanted;
    wanted.reserved = agent;
  }

  unreserve(wanted: RequirementClass): void {
    const agent = wanted.reserved;
    if (agent === undefined) return;
    wanted.reserved = undefined;
    agent.reservedFor = undefined;
    // Its next try without success has it watched again.
    if (wanted.queue.size > 0) this.hot.add(wanted);
    this.refresh(agent, true);
  }

  charge(agent: AgentNode, step: StepNode, sign: 1 | -1): void {
    const { resources } = step.spec;
    agent.usedSlots += sign * resources.slots;
    agent.usedCpuMillis += sign * resources.cpuMillis;
    agent.usedMemoryBytes += sign * resources.memoryBytes;
    for (const name in resources.custom)
      agent.usedCustom.set(name, (agent.usedCustom.get(name) ?? 0) + sign * (resources.custom[name] ?? 0));
    if (agent.pool !== undefined) chargePool(agent.pool, { ...resources, steps: 1 }, sign);
    this.refresh(agent, sign < 0);
    if (sign > 0) return;
    if (agent.pool?.probe !== undefined || agent.cluster?.probe !== undefined) this.#endProbe(agent);
    if (agent.pool?.turnedAway === true) this.#wakePool(agent.pool);
  }

  /** A pool that was at its limit has room: on any of its agents, not only on the one whose lease has ended. */
  #wakePool(pool: PoolNode): void {
    pool.turnedAway = false;
    for (let at = 0; at < this.active.size; at += 1) {
      const wanted = this.active.at(at);
      if (wanted?.places.has(pool.name) !== true) continue;
      for (const group of wanted.places.get(pool.name) ?? [])
        for (const agent of wanted.parked.size === 0 ? [] : group.available) if (canTake(agent, wanted)) this.#wake(wanted, agent);
      wanted.stuck = false;
      if (wanted.queue.size > 0) this.hot.add(wanted);
    }
  }

  /** The lease that was to show whether the pool or the cluster works may be over without having shown it: another step may try. */
  #endProbe({ cluster, pool }: AgentNode): void {
    for (const domain of [cluster, pool]) {
      if (domain?.probe === undefined || domain.probing !== undefined) continue;
      domain.probe = undefined;
      for (const member of domain.members) this.refresh(member);
    }
  }

  /**
   * To be called after anything changed that decides whether the agent may be offered steps: session, credits, drain, holds,
   * breaker, leases. Parked steps that it suits go back to their queue; where it is available since now or has `gained`
   * room, `dispatch` looks for who else fits.
   */
  refresh(agent: AgentNode, gained = false): void {
    const { group } = agent;
    if (group === undefined) return;
    // What keeps agents of a degraded pool from steps is `turnsAway`: canaries come there.
    const isOpen = ['pool-degraded', undefined].includes(this.keeperOf(agent));
    const usable = agent.credits > 0 && isOpen && agent.usedSlots < group.capacity.slots;
    if (!usable) return makeUnavailable(group, agent);
    const news = gained || agent.availableAt < 0;
    if (agent.availableAt < 0) agent.availableAt = group.available.push(agent) - 1;
    for (const wanted of this.#parking) if (canTake(agent, wanted)) this.#wake(wanted, agent);
    if (!news || this.active.size === 0) return;
    if (this.roomy.size < ROOMY) this.roomy.add(agent);
    else for (let at = 0; at < this.active.size; at += 1) this.#wakeWhereItFits(this.active.at(at), agent);
  }

  #wakeWhereItFits(wanted: RequirementClass | undefined, agent: AgentNode): void {
    if (wanted !== undefined && canTake(agent, wanted)) this.#wake(wanted, agent);
  }

  #wake(wanted: RequirementClass, agent: AgentNode): void {
    wanted.stuck = false;
    for (const step of wanted.parked) if (suitsParked(step, agent)) this.unpark(step);
    if (wanted.queue.size > 0) this.hot.add(wanted);
  }

  /** What keeps the agent from getting anything new whatever room it has; undefined = it may. */
  keeperOf(agent: AgentNode): Keeper | undefined {
    if (!agent.connected) return 'disconnected';
    if (agent.outside !== undefined) return 'outside';
    if (agent.draining !== undefined) return 'draining';
    if (agent.breaker.kind === 'open') return 'breaker-open';
    if (agent.breaker.kind === 'half-open' && agent.leases.size > 0) return 'breaker-probing';
    const held = heldBack(agent.cluster) ?? heldBack(agent.pool);
    if (held !== undefined) return held;
    if (this.holdOn(agent) !== undefined) return 'hold';
    if (agent.cordoned !== undefined) return 'cordon';
    return agent.pool?.degraded === undefined ? undefined : 'pool-degraded';
  }

  /** The pool is degraded from now on, or well again. */
  degrade(pool: PoolNode, degraded: PoolNode['degraded']): void {
    pool.degraded = degraded;
    if (degraded === undefined) return this.#wakePool(pool);
    // Nobody is waited for that may not run there.
    for (const { reservedFor } of pool.members) if (reservedFor?.isCanary === false) this.unreserve(reservedFor);
  }

  holdOn(agent: AgentNode): HoldNode | undefined {
    if (this.holds.size === 0) return undefined;
    const { labels } = agent;
    const cluster = labels['cluster'] ?? '';
    return (
      this.holds.get(`agent:${agent.id}`) ??
      this.holds.get(`pool:${cluster}/${labels['pool'] ?? ''}`) ??
      this.holds.get(`cluster:${cluster}`)
    );
  }

  /** The agent holds that tree from now on; the least recently used one makes room. */
  remember(agent: AgentNode, root: Digest, bytes: number): void {
    const known = agent.parts.delete(root);
    agent.parts.set(root, bytes);
    if (known) return;
    const holders = this.#holders.get(root);
    if (holders === undefined) this.#holders.set(root, new Set([agent]));
    else holders.add(agent);
    if (agent.parts.size <= this.#limits.partsPerAgent) return;
    for (const oldest of agent.parts.keys()) {
      this.#dropPart(agent, oldest);
      return;
    }
  }

  holdersOf(root: Digest): ReadonlySet<AgentNode> | undefined {
    return this.#holders.get(root);
  }

  /** Its host's disk may be another one now. */
  forgetParts(agent: AgentNode): void {
    for (const root of agent.parts.keys()) this.#dropPart(agent, root);
  }

  #dropPart(agent: AgentNode, root: Digest): void {
    agent.parts.delete(root);
    const holders = this.#holders.get(root);
    holders?.delete(agent);
    if (holders?.size === 0) this.#holders.delete(root);
  }

  dropPool(pool: PoolNode): void {
    (pool.scope === 'pool' ? this.pools : this.clusters).delete(pool.name);
  }

  /** By the labels of its credential; an agent without a cluster is in none. */
  #joinCluster(agent: AgentNode, { cluster = '' }: Labels): void {
    if (agent.cluster?.name === cluster) return;
    this.#leaveCluster(agent);
    if (cluster === '') return;
    const node = this.clusters.get(cluster) ?? new PoolNode('cluster', cluster, this.nextOrdinal(), this.#limits.poolRetryBurst);
    this.clusters.set(cluster, node);
    node.members.add(agent);
    agent.cluster = node;
  }

  #leaveCluster(agent: AgentNode): void {
    const { cluster } = agent;
    if (cluster === undefined) return;
    agent.cluster = undefined;
    cluster.members.delete(agent);
    if (cluster.members.size === 0 && cluster.breaker.kind !== 'open') this.dropPool(cluster);
  }

  /** By the labels of its credential; an agent without a pool is in none. */
  #joinPool(agent: AgentNode, labels: Labels): void {
    const { cluster = '', pool = '' } = labels;
    const name = `${cluster}/${pool}`;
    if (agent.pool?.name === name) return;
    this.#leavePool(agent);
    if (pool === '') return;
    let node = this.pools.get(name);
    if (node === undefined) {
      node = new PoolNode('pool', name, this.nextOrdinal(), this.#limits.poolRetryBurst);
      node.limits = poolRules(this.topology, name)?.limits;
      this.pools.set(name, node);
    }
    node.members.add(agent);
    agent.pool = node;
    chargePool(node, useOf(agent), 1);
  }

  #leavePool(agent: AgentNode): void {
    const { pool } = agent;
    if (pool === undefined) return;
    agent.pool = undefined;
    pool.members.delete(agent);
    chargePool(pool, useOf(agent), -1);
    // An open one goes when its time is over: nobody may get around it by leaving.
    if (pool.members.size === 0 && pool.breaker.kind !== 'open') this.dropPool(pool);
  }

  #joinGroup(agent: AgentNode, facts: AgentFacts, key: string): void {
    let group = this.groups.get(key);
    if (group === undefined) {
      group = groupOf(key, agent.labels, facts, this.topology);
      this.groups.set(key, group);
      for (const wanted of this.#classes.values()) if (matches(group, wanted)) wanted.addGroup(group);
    }
    group.members.add(agent);
    group.pool = agent.pool;
    agent.group = group;
  }

  #leaveGroup(agent: AgentNode): void {
    const { group } = agent;
    if (group === undefined) return;
    if (agent.reservedFor !== undefined) this.unreserve(agent.reservedFor);
    makeUnavailable(group, agent);
    group.members.delete(agent);
    agent.group = undefined;
    if (group.members.size > 0) return;
    this.groups.delete(group.key);
    for (const wanted of this.#classes.values()) wanted.deleteGroup(group);
  }

  /** Retires a class where that makes one too many: the first one that was not used since it was looked at last. */
  #setIdle(wanted: RequirementClass): void {
    this.#idle.add(wanted);
    if (this.#idle.size <= this.#limits.idleClasses) return;
    // Goes through what it puts back at the end, too.
    for (const oldest of this.#idle) {
      this.#idle.delete(oldest);
      if (this.active.has(oldest)) return;
      if (!oldest.usedSinceIdle) {
        this.#classes.delete(oldest.key);
        oldest.retired = true;
        return;
      }
      oldest.usedSinceIdle = false;
      this.#idle.add(oldest);
    }
  }
}

/** Whether the agent may be offered steps of the class, and has room for one. */
export function canTake(agent: AgentNode, wanted: RequirementClass): boolean {
  const { group } = agent;
  if (group === undefined || agent.availableAt < 0 || !wanted.groups.has(group)) return false;
  if (agent.reservedFor !== undefined && agent.reservedFor !== wanted) return false;
  return hasRoom(agent, wanted) && !turnsAway(group.pool, wanted);
}

/** Whether a step that waits for a better agent than the free ones takes this one. */
function suitsParked(step: StepNode, agent: AgentNode): boolean {
  if (step.record.avoid.includes(agent.id)) return false;
  if (step.awaited === undefined) return true;
  return step.awaited.kind === 'holders' ? step.awaited.agents.has(agent) : agent.group?.cluster === step.awaited.home.cluster;
}

/** What a breaker of the agent's pool or cluster keeps from it. */
function heldBack(domain: PoolNode | undefined): Keeper | undefined {
  if (domain === undefined || domain.breaker.kind === 'closed') return undefined;
  if (domain.breaker.kind === 'open') return 'pool-open';
  return domain.probing === undefined ? undefined : 'pool-probing';
}

function makeUnavailable(group: AgentGroup, agent: AgentNode): void {
  const at = agent.availableAt;
  if (at < 0) return;
  agent.availableAt = -1;
  const last = group.available.pop();
  if (last === undefined || last === agent) return;
  group.available[at] = last;
  last.availableAt = at;
}

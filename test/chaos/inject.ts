import { setTimeout as sleep } from 'node:timers/promises';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { systemClock } from '../../base/clock.ts';
import { descendantsOf } from '../e2e/processes.ts';
import { FAULT_KINDS, LOSSES, NO_BLAME, type Blame, type FaultRecord, type PlannedFault } from './fault.ts';
import type { Member } from './member.ts';
import type { AgentMember, CoordinatorMember, Yard } from './yard.ts';

/** A fault in force. */
export type Injected = {
  readonly record: FaultRecord;
  /** What it keeps others from hitting meanwhile. */
  readonly holds: string;
  heal(): Promise<void>;
};

export type Injector = {
  readonly yard: Yard;
  readonly leaseTtlMs: number;
  /** Who leads at the moment, where that can be found out. */
  readonly leader: () => Promise<CoordinatorMember | undefined>;
  /** What other faults hold. */
  readonly held: ReadonlySet<string>;
};

/** Done, and how to undo it. */
type Done = {
  readonly target: string;
  /** @default the target */
  readonly holds?: string;
  readonly blame: Blame;
  readonly heal: () => Promise<void> | void;
};

/** Puts the fault in force on a target that no other fault holds; undefined where there is none. */
export async function inject(fault: PlannedFault, injector: Injector): Promise<Injected | undefined> {
  const fromMs = systemClock.now();
  const done = await apply(fault, injector);
  if (done === undefined) return undefined;
  const record: FaultRecord = { kind: fault.kind, target: done.target, fromMs, toMs: undefined, blame: done.blame };
  return {
    record,
    holds: done.holds ?? done.target,
    async heal() {
      await done.heal();
      record.toMs = systemClock.now();
    },
  };
}

async function apply(fault: PlannedFault, injector: Injector): Promise<Done | undefined> {
  const { kind } = fault;
  if (FAULT_KINDS[kind].needs === 'net') return hitHost(fault, injector);
  if (kind.endsWith('-agent')) {
    const agent = freeAgent(fault, injector);
    return agent === undefined ? undefined : hitAgent(fault, agent);
  }
  if (kind.endsWith('-redis') && !isLinkFault(kind)) return injector.held.has('redis') ? undefined : hitRedis(fault, injector);
  if (kind === 'full-disk-blobs') return fillBlobs(injector);
  const coordinator = await freeCoordinator(fault, injector);
  if (coordinator === undefined) return undefined;
  return isLinkFault(kind) ? hitLink(fault, coordinator, injector) : hitCoordinator(fault, coordinator);
}

function isLinkFault(kind: PlannedFault['kind']): boolean {
  return /^(cut|stall|half-open|slow)-(agents|redis|redis-link)$/.test(kind);
}

/** At least half of the agents stay as they are, so that the work goes on. */
function freeAgent(fault: PlannedFault, { yard, held }: Injector): AgentMember | undefined {
  const free = yard.agents.filter(({ name }) => !held.has(name));
  if (free.length * 2 <= yard.agents.length) return undefined;
  return free[Math.floor(fault.draw * free.length)];
}

async function freeCoordinator(fault: PlannedFault, { yard, held, leader }: Injector): Promise<CoordinatorMember | undefined> {
  const leading = await leader();
  const fits = yard.coordinators.filter((one) => {
    if (held.has(one.name) || !one.up) return false;
    if (fault.kind.endsWith('-leader')) return one === leading;
    return !fault.kind.endsWith('-follower') || one !== leading;
  });
  return fits[Math.floor(fault.draw * fits.length)];
}

const AFTER_DEATH: Blame = { agents: 'all', classes: ['cache-error'] };

async function hitAgent({ kind }: PlannedFault, agent: AgentMember): Promise<Done | undefined> {
  const target = agent.name;
  const blame: Blame = { agents: [target], classes: LOSSES };
  switch (kind) {
    case 'kill-agent':
      await agent.down('SIGKILL');
      return { target, blame, heal: () => agent.start() };
    case 'stop-agent':
      return { target, blame, heal: stop(agent) };
    case 'term-agent': {
      const gone = agent.down('SIGTERM');
      return { target, blame: { agents: [target], classes: ['agent-stop', 'cache-error'] }, heal: () => gone.then(() => agent.start()) };
    }
    case 'full-disk-agent':
      agent.disk?.fill();
      return { target, blame, heal: () => agent.disk?.empty() };
    case 'few-files-agent':
      return { target, blame, heal: fewFiles([agent.process.pid]) };
    default:
      return undefined;
  }
}

async function hitCoordinator({ kind }: PlannedFault, coordinator: CoordinatorMember): Promise<Done | undefined> {
  const target = coordinator.name;
  switch (kind) {
    case 'kill-leader':
    case 'kill-follower':
      await coordinator.down('SIGKILL');
      return { target, blame: AFTER_DEATH, heal: () => coordinator.start() };
    case 'term-leader':
      await coordinator.down('SIGTERM');
      return { target, blame: AFTER_DEATH, heal: () => coordinator.start() };
    case 'stop-leader':
    case 'stop-follower':
      return { target, blame: AFTER_DEATH, heal: stop(coordinator) };
    case 'kill-data-plane': {
      for (const child of dataPlanesOf(coordinator)) process.kill(child, 'SIGKILL');
      return { target, blame: AFTER_DEATH, heal: () => {} };
    }
    case 'few-files-leader':
      return { target, blame: AFTER_DEATH, heal: fewFiles([coordinator.process.pid, ...dataPlanesOf(coordinator)]) };
    default:
      return undefined;
  }
}

function dataPlanesOf(coordinator: Member): readonly number[] {
  return descendantsOf(coordinator.process.pid)
    .filter(({ commandLine }) => commandLine.includes('cache/main'))
    .map(({ pid }) => pid);
}

/** The lab heals all of its hosts at once: one of them is hit at a time. */
const NETWORK = 'network';
const LOST_PERCENT = 20;

function hitHost({ kind, forMs, draw }: PlannedFault, { yard, held, leaseTtlMs }: Injector): Done | undefined {
  const { lab, coordinators, agents } = yard;
  const hosts = [...coordinators, ...agents].filter(({ up, name }) => up && !held.has(name));
  const host = hosts[Math.floor(draw * hosts.length)];
  if (lab === undefined || host === undefined || held.has(NETWORK)) return undefined;
  if (kind === 'partition') lab.isolate(host.name);
  else if (kind === 'one-way') lab.mute(host.name);
  else lab.loss(host.name, LOST_PERCENT);
  const isAgent = agents.some(({ name }) => name === host.name);
  // Who hears nothing of a coordinator may take as long as a lease to find another one.
  const all: Blame = kind !== 'loss' || forMs >= leaseTtlMs / 2 ? { agents: 'all', classes: LOSSES } : AFTER_DEATH;
  const blame: Blame = isAgent ? { agents: [host.name], classes: LOSSES } : all;
  return { target: host.name, holds: NETWORK, blame, heal: () => lab.heal() };
}

/** One way latency of a slow link. */
const SLOW_MS = 150;

function hitLink({ kind, forMs }: PlannedFault, coordinator: CoordinatorMember, { leaseTtlMs }: Injector): Done | undefined {
  const target = coordinator.name;
  const link = kind.endsWith('-agents') ? coordinator.agentLink : coordinator.redisLink;
  if (link === undefined) return undefined;
  // An agent that cannot renew for that long must give up what has side effects; nobody hears of a half-open link at once.
  const long = kind.endsWith('-agents') && (forMs >= leaseTtlMs / 2 || kind.startsWith('half-open'));
  const blame: Blame = long ? { agents: 'all', classes: LOSSES } : NO_BLAME;
  if (kind.startsWith('cut')) link.cut();
  else if (kind.startsWith('stall')) link.stall();
  else if (kind.startsWith('half-open')) link.halfOpen();
  else link.delay(SLOW_MS);
  return { target, blame, heal: () => link.heal() };
}

/** The replica lags until the end of the fault, and then it is the one that everybody talks to. */
async function failOver({ redisPair, coordinators }: Yard): Promise<Done | undefined> {
  if (redisPair === undefined || !(await redisPair.lag())) return undefined;
  const heal = async () => {
    await redisPair.failOver();
    for (const { redisLink } of coordinators) {
      redisLink?.retarget(redisPair.address);
      redisLink?.drop();
    }
  };
  return { target: 'redis', blame: { agents: 'all', classes: LOSSES }, heal };
}

async function hitRedis({ kind, forMs }: PlannedFault, { yard, leaseTtlMs }: Injector): Promise<Done | undefined> {
  const { redis } = yard;
  if (redis === undefined) return undefined;
  const target = 'redis';
  const blame: Blame = forMs >= leaseTtlMs / 2 ? { agents: 'all', classes: LOSSES } : NO_BLAME;
  const set = async (...words: readonly string[]) => {
    const answer = await redis.command('CONFIG', 'SET', ...words);
    if (answer !== 'OK') throw new Error(`Redis answered CONFIG SET ${words.join(' ')} with ${String(answer)}`);
  };
  switch (kind) {
    case 'kill-redis':
      await redis.kill9();
      return { target, blame, heal: () => redis.start() };
    case 'empty-redis':
      await redis.kill9();
      return { target, blame: { agents: 'all', classes: LOSSES }, heal: () => redis.start({ empty: true }) };
    case 'failover-redis':
      return failOver(yard);
    case 'stop-redis':
      redis.freeze();
      return { target, blame, heal: () => redis.thaw() };
    case 'full-redis':
      await set('maxmemory', '1');
      return { target, blame, heal: () => set('maxmemory', '0') };
    case 'readonly-redis':
      await set('min-replicas-to-write', '1');
      return { target, blame, heal: () => set('min-replicas-to-write', '0') };
    case 'pause-redis':
      await redis.command('CLIENT', 'PAUSE', String(Math.round(forMs)), 'ALL');
      return { target, blame, heal: () => {} };
    default:
      return undefined;
  }
}

function fillBlobs({ yard, held }: Injector): Done | undefined {
  const disk = yard.blobsDisk;
  if (disk === undefined || held.has('blobs')) return undefined;
  disk.fill();
  return { target: 'blobs', blame: { agents: 'all', classes: ['cache-error'] }, heal: () => disk.empty() };
}

/** SIGSTOP; returns its end. A process that was killed meanwhile needs none. */
function stop(member: Member): () => void {
  const stopped = member.process;
  stopped.kill('SIGSTOP');
  return () => stopped.kill('SIGCONT');
}

/** Leaves the processes room for so many files beyond those that are open. */
const FILES_LEFT = 2;
const FILES_NORMAL = 1_048_576;

/** Lets the processes open hardly any more files; returns its end. */
export function fewFiles(pids: readonly number[]): () => void {
  const before = pids.map((pid) => ({ pid, limit: limitOf(pid) }));
  for (const pid of pids) setLimit(pid, String(Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number)) + 1 + FILES_LEFT));
  return () => {
    for (const { pid, limit } of before) setLimit(pid, limit);
  };
}

function limitOf(pid: number): string {
  const { stdout } = spawnSync('prlimit', ['--pid', String(pid), '--nofile', '--output=SOFT', '--noheadings'], { encoding: 'utf8' });
  return stdout.trim() || String(FILES_NORMAL);
}

/** The soft limit only: the hard one could not be raised again without root. A process that is gone needs none. */
function setLimit(pid: number, soft: string): void {
  spawnSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`], { stdio: 'ignore' });
}

/** Waits until the time of the run, or until the signal aborts: then false. */
export async function reached(originMs: number, atMs: number, signal: AbortSignal): Promise<boolean> {
  const leftMs = originMs + atMs - systemClock.monotonic();
  if (leftMs > 0) await sleep(leftMs, undefined, { signal }).catch(() => {});
  return !signal.aborted;
}

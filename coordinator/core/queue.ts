import type { Resources } from '../../base/resources.ts';
import { Heap } from './heap.ts';
import type { ProjectNode, Share, ShareNode, StepNode } from './nodes.ts';
import { isAtQuota } from './project-quota.ts';

/**
 * The queued steps of one requirement class: projects by fair share, in each its builds by fair share, in each its steps
 * by rank. Shares are those of the whole cluster, not of the class. Everything costs O(log n).
 *
 * A share goes first that holds least for its weight, in whole turns; among equals the one that was granted least so far.
 * A share that was idle starts level with the others (`Yard` sees to it): having waited for nothing earns nothing.
 *
 * Projects whose quota leaves no room for a step of the class are set aside, however many steps they have: nobody looks at them
 * until that changes.
 */
export class ClassQueue {
  /** What each of its steps asks for. */
  readonly resources: Resources;
  readonly #projects = new Heap<ProjectQueue>(projectBefore);
  readonly #kept = new Set<ProjectQueue>();
  readonly #byProject = new Map<ProjectNode, ProjectQueue>();
  #size = 0;

  constructor(resources: Resources) {
    this.resources = resources;
  }

  get size(): number {
    return this.#size;
  }

  /** Projects with steps here, those included that are set aside; in no useful order. */
  projects(): readonly ProjectQueue[] {
    return [...this.#projects.items(), ...this.#kept];
  }

  /** Steps of projects that are set aside because of their quotas; costs the builds of those. */
  keptCount(): number {
    let count = 0;
    for (const project of this.#kept) count += project.size;
    return count;
  }

  /** The step whose turn it is; undefined where there is none, or quotas keep all. */
  peek(): StepNode | undefined {
    return this.#projects.peek()?.peek();
  }

  push(step: StepNode): void {
    const { share } = step.build;
    const project = this.#projectQueue(share.project);
    const queue = buildQueue(project, share);
    queue.steps.push(step);
    step.queue = queue;
    this.#size += 1;
    if (queue.heapAt < 0) {
      project.builds.push(queue);
      share.queues.add(queue);
    }
    if (project.heapAt >= 0) return this.#projects.update(project);
    share.project.queues.add(project);
    if (isAtQuota(project)) this.#kept.add(project);
    else this.#projects.push(project);
  }

  /** Empty queues are kept for the next step of their build and project. */
  remove(step: StepNode): void {
    const queue = step.queue;
    if (queue === undefined) return;
    const { project, share } = queue;
    queue.steps.remove(step);
    step.queue = undefined;
    this.#size -= 1;
    if (queue.steps.size > 0) return;
    project.builds.remove(queue);
    share.queues.delete(queue);
    if (project.builds.size > 0) return;
    this.#projects.remove(project);
    this.#kept.delete(project);
    project.project.queues.delete(project);
  }

  /** To be called for each of a project's queues after what it uses, or its quota, has changed; whether it was set aside or came back. */
  obeyQuota(queue: ProjectQueue): 'kept' | 'back' | undefined {
    const keep = isAtQuota(queue);
    if (keep === this.#kept.has(queue)) return undefined;
    if (keep) {
      this.#projects.remove(queue);
      this.#kept.add(queue);
      return 'kept';
    }
    this.#kept.delete(queue);
    this.#projects.push(queue);
    return 'back';
  }

  /** To be called when the core forgets the project. */
  forget(project: ProjectNode): void {
    this.#byProject.delete(project);
  }

  /** To be called for each of a project's queues after its share has changed. */
  moveProject(queue: ProjectQueue): void {
    if (queue.heapAt >= 0) this.#projects.update(queue);
  }

  /** When the step could run that waits longest, Infinity where none waits; costs all of them. */
  oldestReadyAt(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const project of this.projects())
      for (const build of project.builds.items())
        for (const { record } of build.steps.items()) oldest = Math.min(oldest, record.readyAt ?? oldest);
    return oldest;
  }

  /** How many steps go before `step`, as well as can be told while shares change: others of its size take turns with it. */
  positionOf(step: StepNode): number {
    const own = step.queue;
    if (own === undefined) return 0;
    const before = own.steps.items().filter((other) => other !== step && stepBefore(other, step)).length;
    let inProject = before;
    for (const build of own.project.builds.items()) if (build !== own) inProject += Math.min(build.steps.size, before);
    let position = inProject;
    for (const project of this.#projects.items()) {
      if (project === own.project) continue;
      position += Math.min(project.size, inProject);
    }
    return position;
  }

  #projectQueue(project: ProjectNode): ProjectQueue {
    const known = this.#byProject.get(project);
    if (known !== undefined) return known;
    const queue = new ProjectQueue(project, this);
    this.#byProject.set(project, queue);
    return queue;
  }
}

function buildQueue(project: ProjectQueue, share: ShareNode): BuildQueue {
  const known = share.queueOf.get(project);
  if (known !== undefined) return known;
  const queue = new BuildQueue(share, project);
  share.queueOf.set(project, queue);
  return queue;
}

/** A project's queued steps of one class. */
export class ProjectQueue {
  heapAt = -1;
  bagAt = -1;
  readonly project: ProjectNode;
  readonly owner: ClassQueue;
  readonly builds = new Heap<BuildQueue>(buildBefore);

  constructor(project: ProjectNode, owner: ClassQueue) {
    this.project = project;
    this.owner = owner;
  }

  /** Its steps; costs its builds. */
  get size(): number {
    let size = 0;
    for (const build of this.builds.items()) size += build.steps.size;
    return size;
  }

  /** The step of it that goes first. */
  peek(): StepNode | undefined {
    return this.builds.peek()?.steps.peek();
  }
}

/** The queued steps of one class of a build, or of the builds that have a share together. */
export class BuildQueue {
  heapAt = -1;
  bagAt = -1;
  readonly share: ShareNode;
  readonly project: ProjectQueue;
  readonly steps = new Heap<StepNode>(stepBefore);

  constructor(share: ShareNode, project: ProjectQueue) {
    this.share = share;
    this.project = project;
  }
}

/** Which of two steps, of whatever class, goes first. */
export function headBefore(left: StepNode, right: StepNode): boolean {
  const { share: leftShare } = left.build;
  const { share: rightShare } = right.build;
  if (leftShare.project !== rightShare.project) {
    return shareBefore(leftShare.project, rightShare.project) ?? leftShare.project.ordinal < rightShare.project.ordinal;
  }
  if (leftShare !== rightShare) return shareBefore(leftShare, rightShare) ?? leftShare.ordinal < rightShare.ordinal;
  return stepBefore(left, right);
}

/**
 * The rank of a step that became ready then: its priority, and one point for every `ageingMs` that it has waited. Because
 * all age alike, the difference of two ranks never changes, and a heap may be ordered by them.
 */
export function rankOf(priority: number, readyAt: number, ageingMs: number): number {
  return priority - Math.floor(readyAt / ageingMs);
}

function projectBefore({ project: left }: ProjectQueue, { project: right }: ProjectQueue): boolean {
  return shareBefore(left, right) ?? left.ordinal < right.ordinal;
}

function buildBefore({ share: left }: BuildQueue, { share: right }: BuildQueue): boolean {
  return shareBefore(left, right) ?? left.ordinal < right.ordinal;
}

/**
 * What is held counts in whole turns: a share of weight 4 may hold up to 3 slots in its first one. Within a turn what was granted
 * so far decides, so that weights hold over time where there are fewer slots than weights, and nobody gets ahead by more than a turn.
 */
function shareBefore(left: Share, right: Share): boolean | undefined {
  const leftTurn = Math.floor(left.load / left.weight);
  const rightTurn = Math.floor(right.load / right.weight);
  if (leftTurn !== rightTurn) return leftTurn < rightTurn;
  return left.virtualTime === right.virtualTime ? undefined : left.virtualTime < right.virtualTime;
}

/** By rank, then the longest chain of dependents, then who waited longest, then the submission's order. */
function stepBefore(left: StepNode, right: StepNode): boolean {
  if (left.rank !== right.rank) return left.rank > right.rank;
  if (left.criticalPath !== right.criticalPath) return left.criticalPath > right.criticalPath;
  const leftReady = left.record.readyAt ?? 0;
  const rightReady = right.record.readyAt ?? 0;
  return leftReady === rightReady ? left.index < right.index : leftReady < rightReady;
}

import type { BuildNode, ProjectNode, ShareNode, StepNode } from './nodes.ts';

/**
 * The book of fair shares. What is held now (`load`) follows the leases; what was granted so far (`virtualTime`) is
 * charged per grant and given back for an offer that came to nothing.
 */
export class Shares {
  /** Virtual time of the newest grant: where a project starts that was idle. */
  #projectsAt = 0;

  /** To be called before a step of the build is queued: an idle share starts level with the others. */
  join(build: BuildNode): void {
    const { project, share } = build;
    if (project.load === 0 && project.queues.size === 0) project.virtualTime = Math.max(project.virtualTime, this.#projectsAt);
    if (share.load === 0 && share.queues.size === 0) share.virtualTime = Math.max(share.virtualTime, project.buildsAt);
  }

  /** The step holds its share from now on, or no longer. */
  hold(step: StepNode, cost: number, sign: 1 | -1): void {
    const { share } = step.build;
    share.load += sign * cost;
    share.project.load += sign * cost;
    move(share);
  }

  /** Gives the project another weight. */
  weigh(project: ProjectNode, weight: number): void {
    if (project.weight === weight) return;
    project.weight = weight;
    moveProject(project);
  }

  grant(step: StepNode, cost: number): void {
    const { share } = step.build;
    const { project } = share;
    this.#projectsAt = Math.max(this.#projectsAt, project.virtualTime);
    project.buildsAt = Math.max(project.buildsAt, share.virtualTime);
    project.virtualTime += cost / project.weight;
    share.virtualTime += cost / share.weight;
    move(share);
  }

  refund(step: StepNode, cost: number): void {
    const { share } = step.build;
    share.project.virtualTime -= cost / share.project.weight;
    share.virtualTime -= cost / share.weight;
    move(share);
  }
}

function move(share: ShareNode): void {
  moveShare(share);
  moveProject(share.project);
}

function moveShare(share: ShareNode): void {
  const { queues } = share;
  for (let place = 0; place < queues.size; place += 1) {
    const queue = queues.at(place);
    queue?.project.builds.update(queue);
  }
}

function moveProject(project: ProjectNode): void {
  const { queues } = project;
  for (let place = 0; place < queues.size; place += 1) {
    const queue = queues.at(place);
    queue?.owner.moveProject(queue);
  }
}

import type { BuildNode, ProjectNode, StepNode } from './nodes.ts';

/**
 * The book of fair shares. What is held now (`load`) follows the leases; what was granted so far (`virtualTime`) is
 * charged per grant and given back for an offer that came to nothing.
 */
export class Shares {
  /** Virtual time of the newest grant: where a project starts that was idle. */
  #projectsAt = 0;

  /** To be called before a step of the build is queued: an idle share starts level with the others. */
  join(build: BuildNode): void {
    const { project } = build;
    if (project.load === 0 && project.queues.size === 0) project.virtualTime = Math.max(project.virtualTime, this.#projectsAt);
    if (build.load === 0 && build.queues.size === 0) build.virtualTime = Math.max(build.virtualTime, project.buildsAt);
  }

  /** The step holds its share from now on, or no longer. */
  hold(step: StepNode, cost: number, sign: 1 | -1): void {
    step.build.load += sign * cost;
    step.build.project.load += sign * cost;
    move(step.build);
  }

  grant(step: StepNode, cost: number): void {
    const { build } = step;
    const { project } = build;
    this.#projectsAt = Math.max(this.#projectsAt, project.virtualTime);
    project.buildsAt = Math.max(project.buildsAt, build.virtualTime);
    project.virtualTime += cost / project.weight;
    build.virtualTime += cost / build.weight;
    move(build);
  }

  refund(step: StepNode, cost: number): void {
    const { build } = step;
    build.project.virtualTime -= cost / build.project.weight;
    build.virtualTime -= cost / build.weight;
    move(build);
  }
}

function move(build: BuildNode): void {
  moveBuild(build);
  moveProject(build.project);
}

function moveBuild(build: BuildNode): void {
  const { queues } = build;
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

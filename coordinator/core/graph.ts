import { present } from '../../base/assert.ts';
import type { StepNode } from './nodes.ts';
import type { StepSpec } from './spec.ts';

/** What the search for cycles needs to know of a step. */
export type Node = { readonly name: string; readonly needs: readonly string[] };

/** Whether the steps can be run one after the other; `names` has the position of each that is needed. */
export function isAcyclic(steps: readonly StepSpec[], names: ReadonlyMap<string, number>): boolean {
  const dependentsLeft = new Int32Array(steps.length);
  const needs = steps.map((step) => step.needs.map((need) => present(names.get(need.step), 'needs are checked before')));
  for (const each of needs) for (const index of each) dependentsLeft[index] = (dependentsLeft[index] ?? 0) + 1;
  const ready: number[] = [];
  for (let index = 0; index < steps.length; index += 1) if (dependentsLeft[index] === 0) ready.push(index);
  let ordered = 0;
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    ordered += 1;
    for (const index of needs[next] ?? []) {
      const left = (dependentsLeft[index] ?? 0) - 1;
      dependentsLeft[index] = left;
      if (left === 0) ready.push(index);
    }
  }
  return ordered === steps.length;
}

/** Names along a cycle, first one repeated at the end; undefined where there is none. Unknown needs are passed over. */
export function findCycle(nodes: readonly Node[]): readonly string[] | undefined {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const done = new Set<string>();
  for (const start of nodes) {
    if (done.has(start.name)) continue;
    const path: { readonly node: Node; next: number }[] = [{ node: start, next: 0 }];
    const onPath = new Set([start.name]);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const need = top.node.needs[top.next];
      top.next += 1;
      if (need === undefined) {
        path.pop();
        onPath.delete(top.node.name);
        done.add(top.node.name);
      } else if (onPath.has(need)) {
        const names = path.map((entry) => entry.node.name);
        return [...names.slice(names.indexOf(need)), need];
      } else {
        const node = byName.get(need);
        if (node === undefined || done.has(need)) continue;
        path.push({ node, next: 0 });
        onPath.add(need);
      }
    }
  }
  return undefined;
}

/** Wires `needs`, `dependents`, `waiting` and `criticalPath` of a build's steps, none of which has ended yet. */
export function link(steps: readonly StepNode[]): void {
  const byName = new Map<string, StepNode>();
  for (const step of steps) byName.set(step.spec.name, step);
  const dependents: StepNode[][] = [];
  for (const step of steps) {
    const { needs } = step.spec;
    if (needs.length === 0) continue;
    step.needs = needs.map((need) => present(byName.get(need.step), 'needs are checked on admission'));
    step.waiting = step.needs.length;
    for (const need of step.needs) {
      const known = dependents[need.index];
      if (known === undefined) dependents[need.index] = [step];
      else known.push(step);
    }
  }
  for (const step of steps) step.dependents = dependents[step.index] ?? step.dependents;
  measureChains(steps);
}

/** From the steps that nobody needs down to those that need nobody. */
function measureChains(steps: readonly StepNode[]): void {
  const left = steps.map((step) => step.dependents.length);
  const ready = steps.filter((step) => step.dependents.length === 0);
  for (let step = ready.pop(); step !== undefined; step = ready.pop()) {
    for (const need of step.needs) {
      need.criticalPath = Math.max(need.criticalPath, step.criticalPath + 1);
      const open = (left[need.index] ?? 0) - 1;
      left[need.index] = open;
      if (open === 0) ready.push(need);
    }
  }
}

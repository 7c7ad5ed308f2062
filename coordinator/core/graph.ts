import { present } from '../../base/assert.ts';
import type { StepNode } from './nodes.ts';

/** What the search for cycles needs to know of a step. */
export type Node = { readonly name: string; readonly needs: readonly string[] };

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
export function link(steps: readonly StepNode[], byName: ReadonlyMap<string, StepNode>): void {
  for (const step of steps) {
    step.needs = step.spec.needs.map((need) => present(byName.get(need.step), 'needs are checked on admission'));
    step.waiting = step.needs.length;
    for (const need of step.needs) need.dependents.push(step);
  }
  const dependentsLeft = new Map(steps.map((step) => [step, step.dependents.length]));
  const ready = steps.filter((step) => step.dependents.length === 0);
  for (let step = ready.pop(); step !== undefined; step = ready.pop()) {
    for (const need of step.needs) {
      need.criticalPath = Math.max(need.criticalPath, step.criticalPath + 1);
      const left = (dependentsLeft.get(need) ?? 0) - 1;
      dependentsLeft.set(need, left);
      if (left === 0) ready.push(need);
    }
  }
}

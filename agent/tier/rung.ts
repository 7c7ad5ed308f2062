/**
 * How a tree came to its place, the cheapest way first. `present`: it was there and untouched. `overlay`: mounted, nothing was made.
 * `delta`: a similar local tree became it. `links`: made of links to what the tier has. `copy`: made of copies of that. `fetch`: at
 * least some of it had to come over the network.
 */
export const RUNGS = ['present', 'overlay', 'delta', 'links', 'copy', 'fetch'] as const;
export type Rung = (typeof RUNGS)[number];

/** How often each rung was the one since the agent started, and what had to be fetched then. */
export class RungCounts {
  readonly #counts = new Map<Rung, number>();
  readonly #bytes = new Map<Rung, number>();

  add(rung: Rung, bytesIn: number): void {
    this.#counts.set(rung, this.of(rung) + 1);
    this.#bytes.set(rung, this.bytesOf(rung) + bytesIn);
  }

  of(rung: Rung): number {
    return this.#counts.get(rung) ?? 0;
  }

  bytesOf(rung: Rung): number {
    return this.#bytes.get(rung) ?? 0;
  }
}

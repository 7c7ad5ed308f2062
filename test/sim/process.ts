import type { World } from './world.ts';

type Waiting = { readonly kind: 'io' | 'timer'; readonly act: () => void };

/**
 * One life of a process. While it is stalled (SIGSTOP, a host that swaps) nothing runs in it, and its clock goes on; then
 * everything that was due runs at once, what arrived and what its timers wanted in either order. A dead one does nothing.
 */
export class Process {
  readonly #world: World;
  #dead = false;
  #stalledUntil = 0;
  #waiting: Waiting[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  get alive(): boolean {
    return !this.#dead;
  }

  get stalled(): boolean {
    return this.#world.now < this.#stalledUntil;
  }

  /** Something arrives at the process. */
  io(act: () => void): void {
    this.#run({ kind: 'io', act });
  }

  /** A timer of the process; returns what takes it back. */
  after(delayMs: number, act: () => void): () => void {
    let over = false;
    const cancel = this.#world.after(delayMs, () => this.#run({ kind: 'timer', act: () => void (over || act()) }));
    return () => {
      over = true;
      cancel();
    };
  }

  /** `order` says what comes first when it goes on. */
  stall(forMs: number, order: 'io' | 'timer'): void {
    if (this.#dead || this.stalled) return;
    this.#stalledUntil = this.#world.now + forMs;
    this.#world.after(forMs, () => this.wake(order));
  }

  wake(order: 'io' | 'timer'): void {
    this.#stalledUntil = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    const first = waiting.filter(({ kind }) => kind === order);
    // Each in a turn of its own, as an event loop does it.
    for (const { act } of [...first, ...waiting.filter(({ kind }) => kind !== order)]) this.#world.after(0, () => this.io(act));
  }

  kill(): void {
    this.#dead = true;
    this.#waiting = [];
  }

  #run(what: Waiting): void {
    if (this.#dead) return;
    if (this.stalled) return void this.#waiting.push(what);
    this.#world.promised();
    what.act();
  }
}

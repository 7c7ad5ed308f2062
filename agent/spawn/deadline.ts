/** When an attempt must be over, whatever becomes of this process; later with every renewal of its lease. */
export interface Deadline {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Calls `listener` whenever `at` has changed; until the returned handle is disposed. */
  onMove(listener: () => void): Disposable;
}

/** A deadline and the hand that moves it. */
export interface MovableDeadline extends Deadline {
  moveTo(at: number): void;
}

export function deadlineAt(first: number): MovableDeadline {
  let at = first;
  const listeners = new Set<() => void>();
  return {
    get at() {
      return at;
    },
    moveTo(next) {
      at = next;
      for (const listener of listeners) listener();
    },
    onMove(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
}

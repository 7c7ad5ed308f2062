/** Thrown when one of our own invariants does not hold. Never caught to go on: the process ends. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/** States an invariant. `what` says what must hold, in words that a maintainer can search for. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailure(`Invariant broken: ${what}`);
}

/** Ends a `switch` over a union: it does not compile while a kind is missing. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`Unreachable value: ${JSON.stringify(value)}`);
}

/** `value`, where our own bookkeeping guarantees that it is there. */
export function present<T>(value: T | undefined, what: string): T {
  assert(value !== undefined, what);
  return value;
}

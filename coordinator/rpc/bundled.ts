import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * The items in bundles, in order: those that are there within one turn of the event loop go together, as long as they weigh
 * less than `weightMax`. What `items` throws comes after everything before it.
 */
export async function* bundled<T>(
  items: AsyncIterable<T> | Iterable<T>,
  weightOf: (item: T) => number,
  weightMax: number,
): AsyncGenerator<readonly [T, ...T[]], void, void> {
  const iterator = (Symbol.asyncIterator in items ? items : inTurns(items))[Symbol.asyncIterator]();
  let next = iterator.next();
  let done = false;
  try {
    while (true) {
      const first = await next;
      done = first.done === true;
      if (first.done === true) return;
      const bundle: [T, ...T[]] = [first.value];
      let weight = weightOf(first.value);
      next = iterator.next();
      next.catch(() => {}); // thrown when it is awaited, in the next round
      const over = nextTurn(undefined);
      while (weight < weightMax) {
        const more = await Promise.race([next, over]).catch(() => undefined);
        if (more === undefined || more.done === true) break;
        bundle.push(more.value);
        weight += weightOf(more.value);
        next = iterator.next();
        next.catch(() => {});
      }
      yield bundle;
    }
  } catch (error) {
    done = true;
    throw error;
  } finally {
    if (!done) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

async function* inTurns<T>(items: Iterable<T>): AsyncGenerator<T, void, void> {
  yield* items;
}

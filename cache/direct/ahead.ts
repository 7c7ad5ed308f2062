/**
 * What `produce` gives, while it goes on producing: it bounds itself how far ahead it gets. Its error is thrown once all that it gave was
 * taken. When the consumer leaves, its signal aborts, and it has ended before this has.
 */
export async function* ahead<T>(
  produce: (give: (item: T) => void, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const stop = new AbortController();
  let ready: T[] = [];
  let wake = Promise.withResolvers<void>();
  const state: { isOver: boolean; failure: { readonly error: unknown } | undefined } = { isOver: false, failure: undefined };
  const give = (item: T): void => {
    ready.push(item);
    wake.resolve();
  };
  const produced = produce(give, AbortSignal.any([signal, stop.signal]))
    .catch((error: unknown) => void (state.failure = { error }))
    .finally(() => {
      state.isOver = true;
      wake.resolve();
    });
  try {
    while (!state.isOver || ready.length > 0) {
      wake = Promise.withResolvers();
      if (ready.length === 0) await wake.promise;
      const some = ready;
      ready = [];
      yield* some;
    }
    if (state.failure !== undefined) throw state.failure.error;
  } finally {
    stop.abort();
    await produced;
  }
}

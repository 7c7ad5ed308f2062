/** The list in pieces of a call each; one empty piece of nothing, so that the call is made. */
export function* slicesOf<T>(list: readonly T[], size: number): Iterable<readonly T[]> {
  if (list.length === 0) yield list;
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size);
}

/** Longest word that is compared; longer ones are no typing errors. */
const WORD_CHARS_MAX = 64;

/**
 * The known word that `word` was most likely meant to be, or undefined where none is near: at most one slip (a letter
 * added, lost, changed, or two swapped) for each three letters.
 */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > WORD_CHARS_MAX) return undefined;
  let nearest: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const slips = slipsBetween(word.toLowerCase(), candidate.toLowerCase());
    if (slips < least) {
      nearest = candidate;
      least = slips;
    }
  }
  return nearest;
}

/** `Did you mean "x"?`, or nothing; to be put behind a message that ends in a full word. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const nearest = suggest(word, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}

/** Edit distance with swaps of neighbours (optimal string alignment). */
function slipsBetween(from: string, to: string): number {
  let twoBack: number[] = [];
  let back = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const line = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      let least = Math.min((back[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1, (back[column - 1] ?? 0) + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) least = Math.min(least, (twoBack[column - 2] ?? 0) + 1);
      line.push(least);
    }
    twoBack = back;
    back = line;
  }
  return back[to.length] ?? 0;
}

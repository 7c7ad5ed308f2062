/** What ends a copy whose original was not read to its end. */
class Abandoned extends Error {
  override readonly name = 'Abandoned';
}

/**
 * One stream for two readers: whoever reads the result, and beside them somebody who takes a copy. They go at the pace of the slower
 * one, so that nothing piles up.
 */
export class Handoff {
  #chunk: Uint8Array | undefined;
  #isOver = false;
  #isRefused = false;
  #error: unknown;
  #wake = Promise.withResolvers<void>();

  /**
   * The source, of which `copyTo` gets a copy. A copy that its taker gives up costs the reader nothing; a reader that gives up, or a source
   * that fails, ends the copy with an error. `copyTo` must not reject.
   */
  static async *tee(
    source: AsyncIterable<Uint8Array>,
    copyTo: (copy: AsyncIterable<Uint8Array>) => Promise<void>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const handoff = new Handoff();
    const copied = copyTo(handoff.#copy()).finally(() => handoff.#refuse());
    let isWhole = false;
    try {
      for await (const chunk of source) {
        await handoff.#give(chunk);
        yield chunk;
      }
      isWhole = true;
    } catch (error) {
      handoff.#error = error;
      throw error;
    } finally {
      if (!isWhole) handoff.#error ??= new Abandoned('The reader went away');
      handoff.#isOver = true;
      handoff.#turn();
      await copied;
    }
  }

  /** Returns once the copy's taker is done with the chunk, which may be written again then. */
  async #give(chunk: Uint8Array): Promise<void> {
    this.#chunk = chunk;
    this.#turn();
    while (this.#chunk === chunk && !this.#isRefused) await this.#wake.promise;
  }

  async *#copy(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      while (this.#chunk === undefined && !this.#isOver) await this.#wake.promise;
      if (this.#chunk === undefined) break;
      yield this.#chunk;
      this.#chunk = undefined;
      this.#turn();
    }
    if (this.#error !== undefined) throw this.#error;
  }

  #refuse(): void {
    this.#isRefused = true;
    this.#chunk = undefined;
    this.#turn();
  }

  #turn(): void {
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers<void>();
    resolve();
  }
}

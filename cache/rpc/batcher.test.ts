import { describe, expect, test } from 'vitest';
import { Batcher } from './batcher.ts';

const { signal } = new AbortController();

function recording(limits: { bytes: number; count: number; inFlight: number }) {
  const batches: string[][] = [];
  const gates: (() => void)[] = [];
  const batcher = new Batcher<string, string>(limits, async (items) => {
    batches.push([...items]);
    await new Promise<void>((resolve) => gates.push(resolve));
    return items.map((item) =>
      item.startsWith('bad') ? { status: 'rejected', reason: new Error(item) } : { status: 'fulfilled', value: item.toUpperCase() },
    );
  });
  return { batches, batcher, open: () => gates.splice(0).forEach((gate) => gate()) };
}

const turn = () => new Promise((resolve) => void setImmediate(() => void setImmediate(resolve)));

describe('a batcher', () => {
  test('sends together what came in one turn, each key once, and answers each', async () => {
    const { batches, batcher, open } = recording({ bytes: 100, count: 10, inFlight: 2 });
    const answers = ['a', 'b', 'a', 'bad'].map((item) => batcher.add(item, item, 1, signal));
    const settled = Promise.allSettled(answers);
    await turn();
    expect(batches).toEqual([['a', 'b', 'bad']]);
    open();
    const found = await settled;
    expect(found.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)))).toEqual(['A', 'B', 'A', 'Error: bad']);
  });

  test('keeps to its limits, and gathers while as many as may be are under way', async () => {
    const { batches, batcher, open } = recording({ bytes: 10, count: 3, inFlight: 1 });
    const answers = ['a', 'b', 'c', 'd', 'e'].map((item) => batcher.add(item, item, item === 'a' ? 50 : 2, signal));
    await turn();
    expect(batches).toEqual([['a']]);
    for (let round = 0; round < 5; round += 1) {
      open();
      await turn();
    }
    expect(batches).toEqual([['a'], ['b', 'c', 'd'], ['e']]);
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'C', 'D', 'E']);
  });

  test('fails all of a batch that fails as a whole, and goes on', async () => {
    let fail = true;
    const batcher = new Batcher<string, string>({ bytes: 10, count: 9, inFlight: 1 }, async (items) => {
      if (fail) throw new Error('no connection');
      return items.map((value) => ({ status: 'fulfilled', value }));
    });
    const answers = await Promise.allSettled(['a', 'b'].map((item) => batcher.add(item, item, 1, signal)));
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    fail = false;
    expect(await batcher.add('a', 'a', 1, signal)).toBe('a');
  });

  test('lets one caller give up without the others of the same key', async () => {
    const { batcher, open } = recording({ bytes: 10, count: 9, inFlight: 1 });
    const stop = new AbortController();
    const [gone, stays] = [batcher.add('a', 'a', 1, stop.signal), batcher.add('a', 'a', 1, signal)];
    stop.abort(new Error('gave up'));
    await expect(gone).rejects.toThrow('gave up');
    await turn();
    open();
    expect(await stays).toBe('A');
  });
});

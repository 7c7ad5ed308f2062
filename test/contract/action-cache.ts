import { describe, expect, test } from 'vitest';
import type { ActionCache, ActionEntry, ActionKey } from '../../cache/action-cache/action-cache.ts';
import { digestOf } from '../../cache/digest.ts';

/** An action cache under test. `damage` changes the newest entry's bytes behind its back, where that can be done. */
export type ActionCacheSubject = {
  readonly name: string;
  readonly damageable: boolean;
  readonly open: () => Promise<{ readonly cache: ActionCache; readonly damage?: (key: ActionKey) => void } & AsyncDisposable>;
};

const { signal } = new AbortController();
const key = (scope: string, action = 'action', project = 'web'): ActionKey => ({ project, scope, action: digestOf(Buffer.from(action)) });
const entry = (kind: 'executor' | 'client', text: string): ActionEntry => ({
  result: Buffer.from(text),
  writer: { kind, name: 'w' },
  writtenAt: 1_700_000_000_000,
});

/** What every ActionCache does. */
export function actionCacheContract({ name, damageable, open }: ActionCacheSubject): void {
  describe(`${name} as an action cache`, () => {
    test('gives back what was put, with its writer, under that key only', async () => {
      await using subject = await open();
      const put = entry('executor', 'r');
      expect(await subject.cache.get(key('main'), signal)).toBeUndefined();
      expect(plain(await subject.cache.put(key('main'), put, signal))).toEqual(put);
      expect(plain(await subject.cache.get(key('main'), signal))).toEqual(put);
      for (const other of [key('main/pr-7'), key('main', 'other'), key('main', 'action', 'api')]) {
        expect(await subject.cache.get(other, signal)).toBeUndefined();
      }
    });

    test('takes the newest, but never a client’s entry in the place of an executor’s', async () => {
      await using subject = await open();
      const at = key('main');
      await subject.cache.put(at, entry('client', 'first'), signal);
      await subject.cache.put(at, entry('client', 'second'), signal);
      expect(plain(await subject.cache.get(at, signal))).toEqual(entry('client', 'second'));
      await subject.cache.put(at, entry('executor', 'third'), signal);
      expect(plain(await subject.cache.put(at, entry('client', 'fourth'), signal))).toEqual(entry('executor', 'third'));
      expect(plain(await subject.cache.get(at, signal))).toEqual(entry('executor', 'third'));
      await subject.cache.put(at, entry('executor', 'fifth'), signal);
      expect(plain(await subject.cache.get(at, signal))).toEqual(entry('executor', 'fifth'));
    });

    test('keeps entries of many keys, of any bytes', async () => {
      await using subject = await open();
      const texts = Array.from({ length: 50 }, (_, index) => `${index}\n{}\0`.repeat(index));
      await Promise.all(texts.map((text, index) => subject.cache.put(key('main', `action ${index}`), entry('client', text), signal)));
      for (const [index, text] of texts.entries())
        expect(plain(await subject.cache.get(key('main', `action ${index}`), signal))).toEqual(entry('client', text));
    });

    test('does nothing under an aborted signal', async () => {
      await using subject = await open();
      const aborted = AbortSignal.abort(new Error('given up'));
      await expect(subject.cache.put(key('main'), entry('client', 'r'), aborted)).rejects.toThrow('given up');
      await expect(subject.cache.get(key('main'), aborted)).rejects.toThrow('given up');
    });

    if (!damageable) return;
    test('takes a damaged entry for a miss', async () => {
      await using subject = await open();
      await subject.cache.put(key('main'), entry('client', 'result'), signal);
      subject.damage?.(key('main'));
      expect(await subject.cache.get(key('main'), signal)).toBeUndefined();
      await subject.cache.put(key('main'), entry('client', 'again'), signal);
      expect(plain(await subject.cache.get(key('main'), signal))).toEqual(entry('client', 'again'));
    });
  });
}

/** The entry with its bytes as a Buffer, for comparing. */
function plain(found: ActionEntry | undefined): ActionEntry | undefined {
  return found === undefined ? undefined : { ...found, result: Buffer.from(found.result) };
}

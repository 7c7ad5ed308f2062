import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IdentityStore } from '../../coordinator/identity/store.ts';

export type IdentitySubject = {
  readonly name: string;
  /** A new, empty store, as two coordinators have it: the same one twice where no other process can. */
  open(): Promise<readonly [IdentityStore, IdentityStore]>;
  /** Closes the store and opens what it kept; undefined where nothing outlives closing. */
  readonly reopen: ((store: IdentityStore) => Promise<IdentityStore>) | undefined;
};

/** What every identity store does, whatever it stands on. */
export function identityStoreContract(subject: IdentitySubject): void {
  describe(`${subject.name}: the identity store's contract`, () => {
    let one: IdentityStore;
    let other: IdentityStore;
    beforeEach(async () => {
      [one, other] = await subject.open();
    });
    afterEach(async () => {
      for (const store of [one, other]) await store[Symbol.asyncDispose]();
    });

    it('keeps what the first of many brings who add the same key at once, from wherever they come', async () => {
      const bodies = Array.from({ length: 40 }, (_, index) => `body ${index}`);
      const taken = await Promise.all(bodies.map((body, index) => (index % 2 === 0 ? one : other).add('spent', 'key', body)));
      expect(taken.filter((isFirst) => isFirst)).toHaveLength(1);
      expect(await other.get('spent', 'key')).toBe(bodies[taken.indexOf(true)]);
      expect(await one.add('spent', 'key', 'late')).toBe(false);
    });

    it('keeps each table apart, puts in place of what was there, and takes out', async () => {
      await one.put('enrolments', 'a', '1');
      await one.put('denials', 'a', '2');
      await one.put('enrolments', 'a', '3');
      await one.put('enrolments', 'b', '{"text":"ä\\n"}');
      expect(await other.all('enrolments')).toEqual(
        new Map([
          ['a', '3'],
          ['b', '{"text":"ä\\n"}'],
        ]),
      );
      expect(await other.get('denials', 'a')).toBe('2');
      expect(await other.get('spent', 'a')).toBeUndefined();
      expect(await other.remove('enrolments', 'a')).toBe(true);
      expect(await other.remove('enrolments', 'a')).toBe(false);
      expect(await one.get('enrolments', 'a')).toBeUndefined();
      expect(await one.all('spent')).toEqual(new Map());
    });

    it('gives a table another number with each change, and keeps it for as long as nothing changes', async () => {
      const seen = [await one.version('denials')];
      await one.put('denials', 'a', '1');
      seen.push(await other.version('denials'));
      await other.put('denials', 'a', '2');
      seen.push(await one.version('denials'));
      await one.remove('denials', 'a');
      seen.push(await one.version('denials'));
      expect(new Set(seen).size).toBe(4);
      await one.put('enrolments', 'a', '1');
      expect(await one.version('denials')).toBe(seen[3]);
    });

    it('lists what happened from the newest back, page by page, and lets go of the oldest', async () => {
      await one.append('acts', ['1', '2'], 100);
      await other.append('acts', ['3'], 100);
      const [third, second] = await one.newest('acts', 2);
      expect([third?.body, second?.body]).toEqual(['3', '2']);
      expect((await other.newest('acts', 10, second?.id)).map(({ body }) => body)).toEqual(['1']);
      await one.append('acts', [], 100);
      await one.append(
        'acts',
        Array.from({ length: 1_000 }, (_, index) => `more ${index}`),
        10,
      );
      expect(await one.newest('refusals', 10)).toEqual([]);
      const left = await one.newest('acts', 10_000);
      expect(left[0]?.body).toBe('more 999');
      expect(left.length).toBeGreaterThanOrEqual(10);
      expect(left.length).toBeLessThan(300); // what Redis calls about 10: whole nodes of its stream
    });

    const { reopen } = subject;
    if (reopen === undefined) return;
    it('has everything when it is opened again', async () => {
      await one.put('denials', 'a', '1');
      await one.append('acts', ['happened'], 100);
      const before = await one.version('denials');
      await other[Symbol.asyncDispose]();
      one = await reopen(one);
      expect(await one.get('denials', 'a')).toBe('1');
      expect(await one.version('denials')).toBe(before);
      expect((await one.newest('acts', 1))[0]?.body).toBe('happened');
    });
  });
}

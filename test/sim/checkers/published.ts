import type { CheckerFactory } from '../checker.ts';
import { Violation } from '../world.ts';

/** What a step's run left is in the action cache in the end, whoever led in between. */
export const published: CheckerFactory = ({ missingEntries }) => ({
  invariant: 'published',
  finish() {
    const [first] = missingEntries();
    if (first !== undefined) throw new Violation('published', `${first} ran and succeeded, and no entry of its action came`);
  },
});

import { Fault } from '../../../base/fault.ts';
import {
  holdLost,
  indexClosed,
  notCondemned,
  notPending,
  otherEpoch,
  packCondemned,
  packForeign,
  packLate,
  wrongPhase,
} from '../refusals.ts';
import type { PackName } from '../store-index.ts';
import type { Arg } from './script.ts';

/** What a word of the script means. Its first argument is the epoch where the word is `epoch`. */
export function refused(word: string, of: string, args: readonly Arg[]): Fault {
  const pack = of as PackName; // the name that the script was given
  switch (word) {
    case 'closed':
      return indexClosed();
    case 'epoch':
      return otherEpoch(String(args[0]), of);
    case 'phase':
      return wrongPhase(of);
    case 'incomplete':
      return wrongPhase('does not know yet what the store has');
    case 'hold':
      return holdLost({ id: of });
    case 'condemned':
      return packCondemned(pack);
    case 'late':
      return packLate(pack);
    case 'foreign':
      return packForeign(pack);
    case 'pending':
      return notPending(of);
    case 'uncondemned':
      return notCondemned(pack);
    default:
      return new Fault('INTERNAL', `The script of the store's index refused with an unknown word: ${word}`);
  }
}

import type { CheckerFactory } from './checker.ts';
import { capacity } from './checkers/capacity.ts';
import { commitFirst } from './checkers/commit-first.ts';
import { ends } from './checkers/ends.ts';
import { events } from './checkers/events.ts';
import { expiry } from './checkers/expiry.ts';
import { fairShare } from './checkers/fair-share.ts';
import { fenced } from './checkers/fenced.ts';
import { fencing } from './checkers/fencing.ts';
import { holds } from './checkers/holds.ts';
import { oneResult } from './checkers/one-result.ts';
import { quarantine } from './checkers/quarantine.ts';
import { quota } from './checkers/quota.ts';
import { retryClass } from './checkers/retry-class.ts';
import { published } from './checkers/published.ts';
import { sealed } from './checkers/sealed.ts';
import { selector } from './checkers/selector.ts';
import { sharing } from './checkers/sharing.ts';
import { takeover } from './checkers/takeover.ts';
import { terms } from './checkers/terms.ts';
import { zone } from './checkers/zone.ts';

/** All checkers but those of replay and demand, which need the core itself (`simulation.ts`). */
export const CHECKERS: readonly CheckerFactory[] = [
  oneResult,
  fencing,
  expiry,
  capacity,
  selector,
  zone,
  fairShare,
  quota,
  retryClass,
  quarantine,
  sharing,
  holds,
  ends,
  events,
  terms,
  fenced,
  takeover,
  commitFirst,
  sealed,
  published,
];

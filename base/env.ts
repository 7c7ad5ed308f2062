import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';

/** What every part that lives gets, and the only thing that all of them get. */
export type Env = { readonly log: Logger; readonly clock: Clock };

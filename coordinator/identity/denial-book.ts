import { exchangeableDenials, type Denial, type Denials } from '../../base/denials.ts';
import type { Env } from '../../base/env.ts';
import { Fault } from '../../base/fault.ts';
import type { IdentityStore } from './store.ts';

/** Who is refused, as all coordinators on the store know it within seconds. */
export interface DenialBook extends Denials, AsyncDisposable {
  /** @throws {Fault} LIMIT_EXCEEDED, LEDGER_UNAVAILABLE */
  deny(denial: Denial): Promise<void>;
  /** Whether the subject was refused. */
  allow(subject: string): Promise<boolean>;
  list(): readonly Denial[];
}

/** How often it is asked whether another coordinator has changed anything. */
const LOOK_MS = 1_000;
/** How often everything is read, changed or not: a store may have lost the newest number. */
const REREAD_MS = 15_000;
const DENIALS_MAX = 10_000;

/**
 * Reads the denials once before it returns. While the store is away, those that were read last hold.
 * @throws {Fault} LEDGER_UNAVAILABLE
 */
export async function openDenialBook(store: IdentityStore, env: Env, lookMs = LOOK_MS): Promise<DenialBook> {
  const current = exchangeableDenials(() => env.clock.now());
  let list: readonly Denial[] = [];
  let readVersion = -1;
  let readAt = Number.NEGATIVE_INFINITY;
  let isAway = false;
  const reread = async () => {
    const version = await store.version('denials'); // before the rows: a change in between shows with the next look
    if (version === readVersion && env.clock.monotonic() - readAt < REREAD_MS) return;
    const now = env.clock.now();
    const rows = [...(await store.all('denials')).values()].map((body) => JSON.parse(body) as Denial); // as `deny` keeps them
    for (const { subject } of rows.filter(({ until }) => until !== undefined && until <= now)) await store.remove('denials', subject);
    const fresh = rows.filter(({ until }) => until === undefined || until > now);
    readVersion = version;
    readAt = env.clock.monotonic();
    if (JSON.stringify(fresh) === JSON.stringify(list)) return;
    list = fresh;
    env.log.info('denials-reread', { denials: list.length });
    current.exchange(list);
  };
  await reread();
  let looking: Promise<void> = Promise.resolve();
  const look = () => {
    looking = looking.then(reread).then(
      () => void (isAway = false),
      (error: unknown) => {
        if (!isAway) env.log.warn('denials-not-reread', { error });
        isAway = true;
      },
    );
    return looking;
  };
  const timer = setInterval(() => void look(), lookMs);
  timer.unref();
  return {
    refusal: current.refusal,
    onChange: current.onChange,
    list: () => list,
    async deny(denial) {
      if (list.length >= DENIALS_MAX)
        throw new Fault('LIMIT_EXCEEDED', `${DENIALS_MAX} identities are refused already: allow those that are gone`);
      await store.put('denials', denial.subject, JSON.stringify(denial));
      await look();
    },
    async allow(subject) {
      const was = await store.remove('denials', subject);
      await look();
      return was;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}

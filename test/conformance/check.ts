import type { Answer, Code, Session } from './session.ts';

/** What the server does otherwise than the protocol or its clients want. */
export class Deviation extends Error {
  override readonly name = 'Deviation';
}

/** Why a check does not apply to a server, in words; undefined: it does. */
export type Exempt = (session: Session) => string | undefined;

export type Check = {
  /** Stable and unlike all others. */
  readonly id: string;
  /** What holds where the check passes, as a sentence without its dot. */
  readonly claim: string;
  readonly exempt?: Exempt;
  /** @throws {Deviation} where it does not hold */
  readonly run: (session: Session, reader: Session | undefined) => Promise<void>;
};

export type Area = {
  readonly name: string;
  readonly checks: readonly Check[];
  /** A harmless call of a service that servers need not have: where it is UNIMPLEMENTED, none of the checks applies. */
  readonly unlessUnimplemented?: (session: Session) => Promise<Answer<unknown>>;
};

/** The value of an answer. @throws {Deviation} for an error */
export function ok<T>(answer: Answer<T>, what: string): T {
  if (answer.kind === 'ok') return answer.value;
  throw new Deviation(`${what}: ${answer.code}: ${answer.message}`);
}

/** @throws {Deviation} unless the answer is an error of one of these codes */
export function refusedWith(answer: Answer<unknown>, codes: readonly Code[], what: string): void {
  if (answer.kind === 'error' && codes.includes(answer.code)) return;
  const got = answer.kind === 'ok' ? 'it was accepted' : `${answer.code}: ${answer.message}`;
  throw new Deviation(`${what}: wanted ${codes.join(' or ')}, but ${got}`);
}

/** @throws {Deviation} */
export function holds(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Deviation(otherwise);
}

/** @throws {Deviation} */
export function same(got: Buffer, want: Buffer, what: string): void {
  if (!got.equals(want)) throw new Deviation(`${what}: other bytes came (${got.byteLength} of ${want.byteLength})`);
}

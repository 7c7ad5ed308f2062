import { Fault } from '../../../base/fault.ts';

/** What a script answered: the word that says how it went, and the rest as texts. */
export type ScriptAnswer = { readonly word: string; readonly rest: readonly string[] };

export function scriptAnswer(answer: unknown): ScriptAnswer {
  const [word = '', ...rest] = texts(answer);
  return { word, rest };
}

/** An array of texts, where the script or command answers with one. @throws {Fault} LEDGER_UNAVAILABLE */
export function texts(answer: unknown): readonly string[] {
  if (!Array.isArray(answer)) throw strange(answer);
  return answer.map((item: unknown) => {
    if (typeof item === 'string') return item;
    if (typeof item === 'number') return String(item);
    throw strange(item);
  });
}

/** An array of texts with gaps, as HMGET answers. @throws {Fault} LEDGER_UNAVAILABLE */
export function fields(answer: unknown): readonly (string | undefined)[] {
  if (!Array.isArray(answer)) throw strange(answer);
  return answer.map((item: unknown) => {
    if (item === null || typeof item === 'string') return item ?? undefined;
    throw strange(item);
  });
}

/** What something that is none of ours answers, or a proxy between. */
export function strange(answer: unknown): Fault {
  return new Fault('LEDGER_UNAVAILABLE', `Redis answered what no ledger answers: ${JSON.stringify(answer)?.slice(0, 200)}`, {
    hint: 'Check that the URL leads to Redis or Valkey 7 or newer, and that nothing else writes below the prefix.',
  });
}

/**
 * What coordinators on one ledger know together of identities, beside what the term's holder writes: every coordinator reads and writes it
 * at any time, so each change is one atomic step. Bodies are texts of whoever keeps them there.
 * Every implementation passes `test/contract/identity-store.ts`.
 */
export interface IdentityStore extends AsyncDisposable {
  /** Keeps the body under the key, unless there is one: then false, and nothing has changed. */
  add(table: IdentityTable, key: string, body: string): Promise<boolean>;
  put(table: IdentityTable, key: string, body: string): Promise<void>;
  get(table: IdentityTable, key: string): Promise<string | undefined>;
  /** Whether there was one. */
  remove(table: IdentityTable, key: string): Promise<boolean>;
  /** All of a table, by key. Tables are small: whoever fills one bounds it. */
  all(table: IdentityTable): Promise<ReadonlyMap<string, string>>;
  /** Another number after each change of the table. */
  version(table: IdentityTable): Promise<number>;
  /** Appends to a log, and lets go of the oldest beyond about `keep`. */
  append(log: IdentityLog, bodies: readonly string[], keep: number): Promise<void>;
  /** What a log has, newest first, at most `limit`; before the one of that id, where one is given. */
  newest(log: IdentityLog, limit: number, before?: string): Promise<readonly IdentityRow[]>;
}

/** Tokens by their hash, what became of them, and who is refused. */
export type IdentityTable = 'enrolments' | 'spent' | 'denials';

/** What was done, and what was refused: whoever is refused often pushes nothing out that was done. */
export type IdentityLog = 'acts' | 'refusals';

/** One thing that happened; ids are in its order, as `newest` takes them. */
export type IdentityRow = { readonly id: string; readonly body: string };

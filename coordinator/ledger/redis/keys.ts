/** The names of everything that a ledger keeps in Redis. One hash tag: all of it lies in one slot of a cluster. */
export type RedisKeys = {
  /** Hash: form, term, holder, commit number, identity of the server, incarnation, store name, unfinished large commit. */
  readonly meta: string;
  /** Sorted set of the ids of accepted builds, all of score 0. */
  readonly builds: string;
  /** Set of builds that had rows before they had a build record: those without one are what is left of a submission that broke off. */
  readonly partial: string;
  /** Hash: agent to session. */
  readonly sessions: string;
  /** Hash: target to hold. */
  readonly holds: string;
  /** Hash: revision, as ten digits, to topology. */
  readonly topologies: string;
  /** Hash of a build's rows: `build`, `state`, `spec/<step>`, `step/<step>`. */
  rows(build: string): string;
  /** Stream of a build's events; an entry has one or several, field `e` each, and the id `<number of the last>-1`. */
  events(build: string): string;
  /** Set of the tokens of a build's logs. */
  tokens(build: string): string;
  /** Hash of one log: `c<offset>` to bytes, `s<offset>` to digest, `sealed` and `size` (`<bytes> <0 or 1>`). */
  log(token: string): string;
  /** List: one slice of a large commit, as the arguments that apply it. */
  staged(slice: number): string;
  /** Channel of the hints. */
  readonly hints: string;
};

/** The names under a prefix, which may hold no braces. */
export function redisKeys(prefix: string): RedisKeys {
  const tag = `{${prefix}}`;
  return {
    meta: `${tag}:meta`,
    builds: `${tag}:builds`,
    partial: `${tag}:partial`,
    sessions: `${tag}:sessions`,
    holds: `${tag}:holds`,
    topologies: `${tag}:topologies`,
    rows: (build) => `${tag}:build:${build}`,
    events: (build) => `${tag}:events:${build}`,
    tokens: (build) => `${tag}:tokens:${build}`,
    log: (token) => `${tag}:log:${token}`,
    staged: (slice) => `${tag}:staged:${slice}`,
    hints: `${tag}:hints`,
  };
}

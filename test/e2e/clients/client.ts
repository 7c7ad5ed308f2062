/** Somewhere a client runs: a checkout of its own with no local cache, as on another machine. */
export type Machine = {
  readonly dir: string;
  /** Who it is for the server. */
  readonly token: string;
  /** host:port of the HTTP caches, and of the Remote Execution API. */
  readonly http: string;
  readonly grpc: string;
  /** PEM file of who signed the server's certificate, where it speaks TLS. */
  readonly authorities?: string;
};

/** How a build ended, and for which of the units `a` and `b` it had to work or found everything. */
export type Outcome = {
  readonly code: number;
  readonly built: readonly string[];
  readonly found: readonly string[];
  /** Everything that it wrote, for messages. */
  readonly text: string;
};

/**
 * A real build tool with a workspace of two units, `a` and `b`, each with one source `<units>/<unit>/src.txt`, of which `b` builds
 * upon `a`.
 */
export type Client = {
  readonly name: string;
  /** Brings the program here. */
  readonly install: () => Promise<void>;
  /** Writes the workspace but for the sources. */
  readonly prepare: (machine: Machine) => Promise<void>;
  readonly run: (machine: Machine) => Promise<Outcome>;
  /** Whether a build ends as failed when its server goes away: some clients want it so. @default it goes on without */
  readonly needsServer?: boolean;
  /** What the directories of units lie in. */
  readonly unitsDir: string;
  /** Path of what unit `b` makes. */
  readonly output: string;
};

/** The environment of a client: none of this process' own beyond PATH, and a home of the machine's. */
export function envOf({ dir }: Machine, more: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { PATH: process.env['PATH'] ?? '', HOME: `${dir}/home`, NO_COLOR: '1', ...more };
}

/** The units for which `pattern`, with the group `unit`, is found in the text; each once. */
export function unitsIn(text: string, pattern: RegExp): readonly string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match.groups?.['unit'] ?? ''))].toSorted();
}

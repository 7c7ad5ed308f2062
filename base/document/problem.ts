/** A place in a file; both count from 1. */
export type Place = { readonly line: number; readonly column: number };

/** Something wrong with a file that a person wrote, or a bad habit in it. */
export type Problem = {
  readonly severity: 'error' | 'warning';
  readonly place: Place;
  /** The field as a reader would write it (`steps.test.needs[2]`); '' for the file as a whole. */
  readonly field: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** The lint rule's name, for warnings. */
  readonly rule: string | undefined;
};

/** Where the readers put what they find, so that all of it is reported and not only the first. */
export class Problems {
  readonly #seen = new Map<string, Problem>();

  error(place: Place, field: string, message: string, hint?: string): void {
    this.#add({ severity: 'error', place, field, message, hint, rule: undefined });
  }

  warn(rule: string, place: Place, field: string, message: string, hint?: string): void {
    this.#add({ severity: 'warning', place, field, message, hint, rule });
  }

  /** In the order of the file, errors and warnings alike. */
  all(): readonly Problem[] {
    return [...this.#seen.values()].toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  }

  get errorCount(): number {
    return [...this.#seen.values()].filter((problem) => problem.severity === 'error').length;
  }

  /** The same words at the same place once: a template that is used ten times is wrong once. */
  #add(problem: Problem): void {
    const key = `${problem.severity}:${problem.place.line}:${problem.place.column}:${problem.message}`;
    if (!this.#seen.has(key)) this.#seen.set(key, problem);
  }
}

/** `file:line:column: severity: field: message`, and the fix on a line of its own. */
export function formatProblem(file: string, problem: Problem): string {
  const { place, severity, field, message, hint, rule } = problem;
  const head = `${file}:${place.line}:${place.column}: ${severity}: ${field === '' ? '' : `${field}: `}${message}`;
  const tag = rule === undefined ? '' : ` [${rule}]`;
  return hint === undefined ? head + tag : `${head}${tag}\n    fix: ${hint}`;
}

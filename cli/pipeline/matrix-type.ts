import type { FieldType } from '../../base/document/field-type.ts';
import { list, mapOf, scalarValue } from '../../base/document/field-type.ts';

type Scalar = string | number | boolean;

export type Combination = ReadonlyMap<string, Scalar>;

export type MatrixAsWritten = {
  readonly axes: ReadonlyMap<string, readonly Scalar[]>;
  readonly include: readonly Combination[];
  readonly exclude: readonly Combination[];
};

/** Combinations of one matrix; more is a mistake. */
const COMBINATIONS_MAX = 1_000;

const AXIS = '^[A-Za-z_][A-Za-z0-9_-]{0,31}$';
const KEY = { pattern: AXIS, what: 'the name of an axis' };
const combinations = list(mapOf(scalarValue, KEY));
const axes = mapOf(list(scalarValue, { min: 1 }), KEY);

/** Axes with their values, and `include` and `exclude` beside them. */
export const matrix: FieldType<MatrixAsWritten> = {
  what: 'a map of axes and their values',
  schema: {
    type: 'object',
    properties: {
      include: { description: 'Combinations to add.', ...combinations.schema },
      exclude: { description: 'Combinations to leave out: each names some axes.', ...combinations.schema },
    },
    ...(({ additionalProperties, propertyNames }) => ({ additionalProperties, propertyNames }))(axes.schema),
  },
  read(node, field, reading) {
    if (node.kind !== 'map') {
      reading.problems.error(node.place, field, 'expected a map of axes and their values', 'Write matrix: {shard: [1, 2]}.');
      return undefined;
    }
    const special = (key: string) => {
      const entry = node.entries.find((candidate) => candidate.key === key);
      return entry === undefined ? [] : (combinations.read(entry.value, `${field}.${key}`, reading) ?? []);
    };
    const rest = { ...node, entries: node.entries.filter(({ key }) => key !== 'include' && key !== 'exclude') };
    const read = axes.read(rest, field, reading) ?? new Map();
    const written: MatrixAsWritten = { axes: read, include: special('include'), exclude: special('exclude') };
    const count = [...written.axes.values()].reduce((product, values) => product * values.length, 1);
    if (count > COMBINATIONS_MAX) {
      reading.problems.error(node.place, field, `the matrix has ${count} combinations, more than ${COMBINATIONS_MAX}`);
      return undefined;
    }
    return written;
  },
};

/** All combinations in the order of the file: axes multiplied, `exclude` taken away, `include` added. */
export function combinationsOf({ axes: written, include, exclude }: MatrixAsWritten): readonly Combination[] {
  let found: readonly Combination[] = written.size === 0 ? [] : [new Map()];
  for (const [axis, values] of written) found = found.flatMap((before) => values.map((value) => new Map([...before, [axis, value]])));
  const excluded = (one: Combination) =>
    exclude.some((rule) => rule.size > 0 && [...rule].every(([axis, value]) => one.get(axis) === value));
  return [...found.filter((one) => !excluded(one)), ...include];
}

/** What stands in brackets after the step's name; characters that names cannot have become "-". */
export function suffixOf(combination: Combination): string {
  return [...combination].map(([axis, value]) => `${axis}=${String(value).replaceAll(/[^A-Za-z0-9_.:@+-]/g, '-')}`).join(',');
}

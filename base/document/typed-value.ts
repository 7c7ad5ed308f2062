/** A value with a declared type; without `type` where that was wrong and has been reported. */
export type TypedValue = {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'choice' | undefined;
  /** Of a choice. */
  readonly values: readonly (string | number | boolean)[] | undefined;
};

/** Why `value` cannot be a value of the type; undefined where it can. */
export function whyWrong(declaration: TypedValue, value: string | number | boolean): string | undefined {
  const found = `but is ${JSON.stringify(value)}`;
  switch (declaration.type) {
    case 'string':
      return typeof value === 'string' ? undefined : `must be text, ${found}`;
    case 'integer':
      return Number.isSafeInteger(value) ? undefined : `must be a whole number, ${found}`;
    case 'number':
      return typeof value === 'number' ? undefined : `must be a number, ${found}`;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `must be true or false, ${found}`;
    case 'choice':
      return declaration.values?.includes(value) === true ? undefined : `must be one of ${(declaration.values ?? []).join(', ')}, ${found}`;
    default:
      return undefined; // a wrong type was reported where it was declared
  }
}

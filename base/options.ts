import { Fault } from './fault.ts';
import { formatDurationMs, formatSizeBytes, parseDurationMs, parseSizeBytes, QUANTITY_FORMS } from './quantity.ts';
import { Secret } from './secret.ts';
import { didYouMean } from './suggest.ts';

type Common = {
  /** A sentence or two for people, in `--help` and docs/config.md. */
  readonly help: string;
  /** As a person would write it (`30s`, `2Gi`, `true`). Without one the option is undefined, or an error where `required`. */
  readonly default?: string;
  readonly required?: true;
};

/** One option. Its key in the table gives the flag (`leaseTtl`: `--lease-ttl`) and the variable (`<prefix>LEASE_TTL`). */
export type OptionSpec = Common &
  (
    | { readonly type: 'string' | 'path' | 'boolean' }
    /** From the environment only: a flag is visible to every user of the host. */
    | { readonly type: 'secret'; readonly default?: never }
    /** A number of things, of milliseconds, of bytes; bounds are included and in the same unit. */
    | { readonly type: 'int' | 'duration' | 'size'; readonly min?: number; readonly max?: number }
    | { readonly type: 'choice'; readonly choices: readonly string[] }
    /** Any number of words: the flag may be repeated, the variable has them between commas. */
    | { readonly type: 'list' }
  );

/** All options of one process. */
export type OptionTable = {
  /** The process, as the launcher names it (`coordinator`). */
  readonly program: string;
  /** What its variables begin with, such as `SWITCHYARD_COORDINATOR_`. */
  readonly prefix: string;
  readonly about: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
};

type Valued<S extends OptionSpec> = S extends { readonly type: 'int' | 'duration' | 'size' }
  ? number
  : S extends { readonly type: 'boolean' }
    ? boolean
    : S extends { readonly type: 'secret' }
      ? Secret
      : S extends { readonly type: 'list' }
        ? readonly string[]
        : S extends { readonly type: 'choice'; readonly choices: readonly (infer C)[] }
          ? C
          : string;

type Sure = { readonly default: string } | { readonly required: true } | { readonly type: 'list' };

/** The values of a table's options: durations in milliseconds, sizes in bytes. */
export type Options<T extends OptionTable> = {
  readonly [K in keyof T['options']]: Valued<T['options'][K]> | (T['options'][K] extends Sure ? never : undefined);
};

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'SWITCHYARD_';

/** Parts whose variables are checked by the part that owns them; the tests are one. */
const PARTS = ['COORDINATOR', 'AGENT', 'CACHE', 'CLI', 'TEST'] as const;

/** Variables that belong to no table: the command line's server, token and certificates, and what the tests read. */
const SHARED = [
  ...['SERVER', 'TOKEN', 'TOKEN_FILE', 'TLS_CA', 'TLS_CERT', 'TLS_KEY', 'TLS_SERVER_NAME', 'INSECURE'],
  ...['REQUIRE', 'CONFIG'],
] as const;

/**
 * The options that `argv` (without program names) and `env` give, argv first, frozen.
 * @throws {Fault} CONFIG_INVALID listing every problem: unknown flags, unknown variables with our prefix, bad or missing values.
 */
export function parseOptions<const T extends OptionTable>(table: T, env: Environment, argv: readonly string[]): Options<T> {
  const problems: string[] = [];
  const flags = readFlags(table, argv, problems);
  checkVariables(table, env, problems);
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(table.options)) {
    const variable = variableOf(table, key);
    const given = flags.get(key);
    const fromEnv = env[variable] === '' ? undefined : env[variable];
    const label = given === undefined ? variable : flagOf(key);
    const texts = given ?? (fromEnv === undefined ? undefined : spec.type === 'list' ? fromEnv.split(',') : [fromEnv]);
    values[key] = readValue(spec, texts ?? defaultsOf(spec), label, problems);
    if (values[key] === undefined && spec.required && texts === undefined) {
      problems.push(`${spec.type === 'secret' ? variable : `${flagOf(key)} (or ${variable})`} is required: ${spec.help}`);
    }
  }
  if (problems.length > 0) {
    const text = problems.map((problem) => `  ${problem}`).join('\n');
    throw new Fault('CONFIG_INVALID', `switchyard ${table.program} cannot start:\n${text}`, {
      hint: `"switchyard ${table.program} --help" lists all options.`,
    });
  }
  return Object.freeze(values) as Options<T>; // each value was read by its own spec above
}

/** `--lease-ttl` of `leaseTtl`. */
export function flagOf(key: string): string {
  return `--${words(key).join('-')}`;
}

/** The environment variable of an option. */
export function variableOf(table: OptionTable, key: string): string {
  return `${table.prefix}${words(key).join('_').toUpperCase()}`;
}

function words(key: string): readonly string[] {
  return key.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' ');
}

function defaultsOf(spec: OptionSpec): readonly string[] | undefined {
  if (spec.type === 'list') return spec.default === undefined ? [] : spec.default.split(',');
  return spec.default === undefined ? undefined : [spec.default];
}

/** Texts by option key. A flag's value follows it, or `=`; a boolean's flag stands alone (`--no-x` for false). */
function readFlags(table: OptionTable, argv: readonly string[], problems: string[]): ReadonlyMap<string, readonly string[]> {
  const keys = new Map(Object.keys(table.options).map((key) => [flagOf(key), key]));
  const found = new Map<string, string[]>();
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    const equals = word.indexOf('=');
    const flag = equals < 0 ? word : word.slice(0, equals);
    const negated = keys.get(flag.replace(/^--no-/, '--'));
    const key =
      keys.get(flag) ??
      (flag.startsWith('--no-') && negated !== undefined && table.options[negated]?.type === 'boolean' ? negated : undefined);
    const spec = key === undefined ? undefined : table.options[key];
    if (key === undefined || spec === undefined) {
      problems.push(word.startsWith('-') ? `Unknown option ${flag}${didYouMean(flag, keys.keys())}` : `Unexpected argument "${word}"`);
      if (equals < 0 && word.startsWith('-') && argv[index + 1]?.startsWith('-') === false) index += 1;
      continue;
    }
    let text: string | undefined;
    if (equals >= 0) text = word.slice(equals + 1);
    else if (spec.type === 'boolean') text = keys.has(flag) ? 'true' : 'false';
    else {
      index += 1;
      text = argv[index];
    }
    if (spec.type === 'secret')
      problems.push(`${flag} would show the secret to every user of the host: set ${variableOf(table, key)} instead`);
    else if (text === undefined) problems.push(`${flag} needs a value`);
    else if (spec.type !== 'list' && found.has(key)) problems.push(`${flag} is given twice`);
    else found.set(key, [...(found.get(key) ?? []), text]);
  }
  return found;
}

function checkVariables(table: OptionTable, env: Environment, problems: string[]): void {
  const known = new Set(Object.keys(table.options).map((key) => variableOf(table, key)));
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX) || known.has(name)) continue;
    const elsewhere = SHARED.some((shared) => name === `${PREFIX}${shared}`);
    const ofPart = PARTS.some((part) => name.startsWith(`${PREFIX}${part}_`) && `${PREFIX}${part}_` !== table.prefix);
    if (!elsewhere && !ofPart) problems.push(`Unknown variable ${name}${didYouMean(name, known)}`);
  }
}

/** The value of `texts`, or undefined where there is none or it is bad; then `problems` says why. */
function readValue(spec: OptionSpec, texts: readonly string[] | undefined, label: string, problems: string[]): unknown {
  const [text] = texts ?? [];
  if (spec.type === 'list') return Object.freeze((texts ?? []).map((word) => word.trim()).filter((word) => word !== ''));
  if (text === undefined) return undefined;
  const refuse = (wanted: string): undefined =>
    void problems.push(`${label} must be ${wanted}, got "${spec.type === 'secret' ? '***' : text}"`);
  switch (spec.type) {
    case 'string':
    case 'path':
      return text === '' || text.includes('\0') ? refuse('a text that is not empty') : text;
    case 'secret':
      return new Secret(text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : refuse('true or false');
    case 'choice': {
      const wanted = `one of ${spec.choices.join(', ')}`;
      return spec.choices.includes(text) ? text : refuse(wanted);
    }
    case 'int':
      return within(spec, /^-?[0-9]{1,15}$/.test(text) ? Number(text) : undefined, 'a whole number', refuse);
    case 'duration':
      return within(spec, parseDurationMs(text), QUANTITY_FORMS.duration, refuse, formatDurationMs);
    case 'size':
      return within(spec, parseSizeBytes(text), QUANTITY_FORMS.size, refuse, formatSizeBytes);
  }
}

type Bounded = { readonly min?: number; readonly max?: number };

function within(
  { min, max }: Bounded,
  value: number | undefined,
  form: string,
  refuse: (wanted: string) => undefined,
  format: (bound: number) => string = String,
): number | undefined {
  if (value !== undefined && value >= (min ?? value) && value <= (max ?? value)) return value;
  const from = min === undefined ? '' : `, at least ${format(min)}`;
  return refuse(`${form}${from}${max === undefined ? '' : `, at most ${format(max)}`}`);
}

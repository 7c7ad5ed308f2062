import { posix } from 'node:path';
import { isCode, isTest, withoutComments, type Check } from './source.ts';

/** Files of base/ that are pure: no I/O, no clock, no process. */
const PURE_BASE =
  /^base\/(assert|prng|backoff|selector|labels|resources|zone|failure|fault|clock|caller|sandbox-trait|quantity|suggest|glob|same)\.ts$/;

/** What the action cache keeps and digests: values that the whole house shares. */
const CACHE_VALUES = /^cache\/(digest|action\/result)\.ts$/;

/** What a topology is and means: pure values and functions, which the scheduler obeys. */
const TOPOLOGY_VALUES = /^topology\/(model|membership|submission|words)\.ts$/;

type Rule = {
  /** The files that the rule is for; the first rule that fits a file is the one. */
  readonly of: RegExp;
  /** Which of our files they may import. */
  readonly ours: readonly RegExp[];
  /** Which packages; `node` for Node's own modules. */
  readonly packages: readonly RegExp[];
};

const NODE = /^node:/;
const ANY_PACKAGE = /^/;
const GRPC = /^(@grpc\/|grpc-)/;
const NOT_GRPC = /^(?!@grpc\/|grpc-)/;

/** Who may import whom. */
const RULES: readonly Rule[] = [
  { of: /^base\/document\//, ours: [/^base\//], packages: [/^yaml$/] },
  { of: /^base\/oidc\//, ours: [/^base\//], packages: [NODE, /^jose$/] },
  { of: /^base\/redis\//, ours: [/^base\//], packages: [NODE, /^ioredis$/] },
  { of: /^base\//, ours: [/^base\//], packages: [NODE, /^pino$/, /^picomatch$/, /^prom-client$/] },
  { of: TOPOLOGY_VALUES, ours: [TOPOLOGY_VALUES, PURE_BASE], packages: [] },
  { of: /^topology\//, ours: [/^topology\//, /^base\//], packages: [] },
  { of: /^proto\//, ours: [/^base\//, /^proto\//, CACHE_VALUES], packages: [ANY_PACKAGE] },
  { of: /^coordinator\/core\//, ours: [/^coordinator\/core\//, TOPOLOGY_VALUES, PURE_BASE, CACHE_VALUES], packages: [] },
  { of: /^coordinator\/ledger\//, ours: [/^coordinator\/(ledger|core)\//, /^base\//, CACHE_VALUES], packages: [NOT_GRPC] },
  { of: /^coordinator\/identity\//, ours: [/^coordinator\/(identity|ledger\/redis)\//, /^base\//], packages: [NOT_GRPC] },
  {
    of: /^coordinator\/archive\//,
    ours: [
      /^coordinator\/(archive|core)\//,
      /^coordinator\/ledger\/(ledger|codec)\.ts$/,
      /^coordinator\/shell\/(instance-name|live-log|log-reader)\.ts$/,
      /^base\//,
      /^cache\/(?!rpc\/|main\.|start\.)/,
      /^cache\/rpc\/client\.ts$/,
    ],
    packages: [NOT_GRPC],
  },
  {
    of: /^coordinator\/shell\//,
    ours: [
      TOPOLOGY_VALUES,
      /^coordinator\/(shell|core|archive)\//,
      /^coordinator\/ledger\/(ledger|group-commit)\.ts$/,
      /^base\//,
      /^cache\/(?!rpc\/|main\.|start\.)/,
      /^cache\/rpc\/client\.ts$/,
    ],
    packages: [NOT_GRPC],
  },
  {
    of: /^coordinator\/role\//,
    ours: [/^coordinator\/(role|shell|core)\//, /^coordinator\/ledger\/ledger\.ts$/, /^base\//],
    packages: [NODE],
  },
  {
    of: /^coordinator\/rpc\//,
    ours: [
      /^coordinator\/(rpc|role|shell|core|archive|identity)\//,
      /^coordinator\/ledger\/ledger\.ts$/,
      /^topology\//,
      /^base\//,
      /^cache\//,
      /^proto\//,
    ],
    packages: [NODE, GRPC],
  },
  {
    of: /^coordinator\/metrics\//,
    ours: [/^coordinator\/(metrics|shell|core|role)\//, /^coordinator\/ledger\/(ledger|group-commit|redis\/redis)\.ts$/, /^base\//],
    packages: [NOT_GRPC],
  },
  { of: /^coordinator\/[^/]+\.ts$/, ours: [/^coordinator\//, /^base\//, /^cache\//, /^proto\//], packages: [ANY_PACKAGE] },
  { of: /^agent\/session\/core\.ts$/, ours: [/^agent\/session\//, PURE_BASE, CACHE_VALUES], packages: [] },
  { of: /^agent\/rpc\//, ours: [/^agent\//, /^base\//, /^cache\//, /^proto\//], packages: [NODE, GRPC] },
  { of: /^agent\/[^/]+\.ts$/, ours: [/^agent\//, /^base\//, /^cache\//, /^proto\//], packages: [ANY_PACKAGE] },
  { of: /^agent\//, ours: [/^agent\/(?!rpc\/)/, /^base\//, /^cache\/(?!main\.|start\.)/], packages: [NOT_GRPC] },
  { of: /^cache\/rpc\//, ours: [/^cache\//, /^base\//, /^proto\//], packages: [ANY_PACKAGE] },
  { of: /^cache\/(start|main)\.ts$/, ours: [/^cache\//, /^base\//, /^proto\//], packages: [ANY_PACKAGE] },
  { of: /^cache\//, ours: [/^cache\/(?!rpc\/)/, /^base\//], packages: [NOT_GRPC] },
  {
    of: /^cli\//,
    ours: [
      /^cli\//,
      /^topology\//,
      /^base\//,
      /^cache\//,
      /^proto\//,
      /^(coordinator|agent)\/(start|run|config|host)\.ts$/,
      /^coordinator\/ledger\/redis\/(config|redis)\.ts$/,
      /^agent\/sandbox\/open\.ts$/,
      /^coordinator\/core\/(spec|limits|ids)\.ts$/,
    ],
    packages: [ANY_PACKAGE],
  },
  { of: /^(bin|scripts|docs)\//, ours: [ANY_PACKAGE], packages: [ANY_PACKAGE] },
  { of: /^[^/]+$/, ours: [ANY_PACKAGE], packages: [ANY_PACKAGE] },
];

const STATIC_FORM = /(?:^|\n|;)\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/;
const DYNAMIC_FORM = /\bimport\s*\(\s*['"]([^'"]+)['"]\s*\)/;
const BARE_FORM = /(?:^|\n)\s*import\s*['"]([^'"]+)['"]/;
const IMPORT = new RegExp([STATIC_FORM, DYNAMIC_FORM, BARE_FORM].map(({ source }) => source).join('|'), 'g');

/** Every module that `text` imports, as it is written there. */
export function importsOf(text: string): readonly string[] {
  return [...withoutComments(text).matchAll(IMPORT)].flatMap((match) => match[1] ?? match[2] ?? match[3] ?? []);
}

/** The import table. Tests are free to import anything, and nobody but tests may import tests. */
export const checkImports: Check = ({ path, text }) => {
  if (isTest(path) || !isCode(path)) return [];
  const rule = RULES.find(({ of }) => of.test(path));
  if (rule === undefined) return [`no rule in test/tidy/imports.ts says what it may import`];
  return importsOf(text).flatMap((specifier) => {
    if (!specifier.startsWith('.')) {
      return rule.packages.some((allowed) => allowed.test(specifier)) ? [] : [`must not import the package "${specifier}"`];
    }
    const target = posix.normalize(posix.join(posix.dirname(path), specifier));
    if (isTest(target)) return [`must not import the test file ${target}`];
    if (target.endsWith('main.ts') && path !== 'bin/switchyard.js') return [`must not import ${target}: a main.ts is only ever run`];
    return rule.ours.some((allowed) => allowed.test(target)) ? [] : [`must not import ${target}`];
  });
};

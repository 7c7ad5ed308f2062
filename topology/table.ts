import { choice, flag, list, mapOf, mapped, number, parsedText, record, scalarValue, text, byKind } from '../base/document/field-type.ts';
import { cpu, duration, size } from '../base/document/quantity-type.ts';
import { globProblem } from '../base/glob.ts';
import { SANDBOX_TRAITS } from '../base/sandbox-trait.ts';
import { parseSelector } from '../base/selector.ts';
import { ZONES } from '../base/zone.ts';
import { isDay } from './settings.ts';

/*
 * The topology file, field by field: its reader and its JSON Schema come from here. A field is here only if something obeys it.
 */

const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$';
const nameKey = (what: string) => ({ pattern: NAME, what: `the name of ${what}: up to 63 letters, digits, ".", "_" and "-"` });
const LABEL_KEY = { pattern: '^[A-Za-z0-9_][A-Za-z0-9_./-]{0,62}$', what: 'the name of a label' };

const line = text({ what: 'text' });

export const selector = parsedText({
  what: 'a label selector',
  hint: 'Write requirements such as "arch in (amd64,arm64), !gpu, memory >= 8Gi".',
  parse: (written) => {
    const parsed = parseSelector(written);
    return parsed.kind === 'bad' ? { wrong: parsed.message } : { value: parsed.selector.canonical };
  },
});

const glob = parsedText({
  what: 'a glob such as web-*',
  hint: 'Write text with "*" for any run of characters and "?" for one.',
  parse: (written) => {
    const problem = globProblem(written);
    return problem === undefined ? { value: written } : { wrong: `"${written}" is no glob: ${problem}` };
  },
});
const globs = byKind<readonly string[]>('a glob or a list of globs', { text: mapped(glob, (one) => [one]), list: list(glob, { min: 1 }) });

const limits = record('{steps, cpu, memory}', {
  steps: { type: number({ min: 1, max: 1_000_000 }), about: 'Steps at once. Default: no bound.' },
  cpu: { type: cpu, about: 'CPU that they ask for together. Default: no bound.' },
  memory: { type: size, about: 'Memory that they ask for together. Default: no bound.' },
});

const canary = {
  every: { type: duration, about: 'Time between two canary builds in a pool; 0s for none.' },
  timeout: {
    type: duration,
    about: 'Time after which one that was not run, though agents are free, or has not ended, has failed. Default 1m.',
  },
};

const pool = record('{class, labels, sandbox, price, limits, canary}', {
  class: {
    type: choice(['edge', 'central']),
    about: 'Label "class" of its agents. Edge agents get light steps first and fill up evenly, central ones fill up one by one.',
    required: true,
  },
  labels: { type: selector, about: 'What the labels of its agents must be. Default: anything.' },
  sandbox: { type: list(choice(SANDBOX_TRAITS)), about: 'What the sandboxes of its agents must guarantee. Default: nothing.' },
  price: {
    type: number({ min: 0, max: 1_000_000, fraction: true }),
    about: 'What an hour of one core costs there, in any unit; where nothing else decides, the cheaper pool goes first. Default 0.',
  },
  limits: { type: limits, about: 'What its agents may run together, whatever room they have.' },
  canary: { type: record('{every, timeout}', canary), about: 'What is different from "canaries" in this pool.' },
});

const spill = record('{after, to}', {
  after: {
    type: duration,
    about: 'How long steps that belong here wait for its agents while those are busy, before they go elsewhere. Default 0s.',
  },
  to: {
    type: list(text({ what: 'the name of a cluster', pattern: NAME })),
    about: 'Clusters where they go, best first; those of the same region go before, clusters that are not named last.',
  },
});

const cluster = record('{zone, region, pools, spill}', {
  zone: { type: choice(ZONES), about: 'Highest zone that its agents count as, whatever their credentials say.', required: true },
  region: {
    type: text({ what: 'the value of a label', pattern: '^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$' }),
    about: 'Label "region" of its agents. Default: what they say themselves.',
  },
  pools: {
    type: mapOf(pool, nameKey('a pool')),
    about: 'Its pools; agents whose credentials name another one get nothing. Default: any name is a pool.',
  },
  spill: { type: spill, about: 'Where steps go whose inputs were made here, or whose home this is, when its agents are busy.' },
});

const zoneRules = record('{inputs, exclusive}', {
  inputs: {
    type: choice(ZONES),
    about: 'Lowest zone of which the outputs may be that steps for this zone take of others. Default: the zone itself.',
  },
  exclusive: { type: flag, about: 'Whether its agents run nothing but steps that ask for this zone. Default false.' },
});

const project = record('{weight, unfinishedSteps, quota, home}', {
  weight: {
    type: number({ min: 0.01, max: 1_000, fraction: true }),
    about: 'Part of the agents that its steps get where there are too few, in comparison with other projects. Default 1.',
  },
  unfinishedSteps: {
    type: number({ min: 1, max: 500_000 }),
    about: 'Steps that it may have unfinished at once; more are refused. Default 500000.',
  },
  quota: { type: limits, about: 'What its steps may run together, over all pools.' },
  home: {
    type: text({ what: 'the name of a cluster', pattern: NAME }),
    about: 'Cluster to which its steps belong that take no outputs of others. Default: none.',
  },
});

const builds = record('{names, labels}', {
  names: { type: globs, about: 'What builds may be called: one glob or several. Default: anything.' },
  labels: {
    type: mapOf(
      record('{values, about}', {
        values: { type: globs, about: 'What the value may be: one glob or several. Default: any text.' },
        about: { type: line, about: 'What it is for; said where it is missing.' },
      }),
      LABEL_KEY,
    ),
    about: 'Labels that each build must have.',
  },
});

const SETTING_KEY = { pattern: '^[A-Za-z_][A-Za-z0-9_-]{0,62}$', what: 'a name: up to 63 letters, digits, "_" and "-"' };

const environment = record('{labels, zone, params, about}', {
  labels: { type: selector, about: 'What agents must have for its steps, beside what those ask for. Default: anything.' },
  zone: { type: choice(ZONES), about: 'Lowest zone in which its steps run. Default: what they ask for.' },
  params: {
    type: mapOf(scalarValue, SETTING_KEY),
    about: 'Values by name; expressions of pipelines find them as environment.NAME. "name" is its own name.',
  },
  about: { type: line, about: 'What it is for.' },
});

const featureFlag = record('{type, values, default, owner, expires, about, environments}', {
  type: { type: choice(['boolean', 'string', 'integer', 'number', 'choice']), about: 'Type of its value.', required: true },
  values: { type: list(scalarValue, { min: 1 }), about: 'The values of a choice.' },
  default: { type: scalarValue, about: 'Value where its environment has none of its own.', required: true },
  owner: {
    type: text({ what: 'who answers for it', pattern: '\\S' }),
    about: 'Who answers for it, and takes it away in time.',
    required: true,
  },
  expires: {
    type: parsedText({
      what: 'a date',
      hint: 'Write a day such as "2027-03-31".',
      parse: (written) => (isDay(written) ? { value: written } : { wrong: `"${written}" is no day such as 2027-03-31` }),
    }),
    about: 'Last day (UTC) on which a topology with it can be applied.',
    required: true,
  },
  about: { type: line, about: 'What it is for.' },
  environments: { type: mapOf(scalarValue, SETTING_KEY), about: 'Its value in each environment that has one of its own.' },
});

export const topologyType = record('a topology', {
  version: { type: number({ min: 1, max: 1, what: '1, the only version there is' }), about: 'Version of this format: 1.', required: true },
  unlisted: {
    type: choice(['accept', 'refuse']),
    about: 'Whether agents of clusters that are not listed work as their credentials say. Default refuse.',
  },
  clusters: { type: mapOf(cluster, nameKey('a cluster')), about: 'The clusters by name.' },
  zones: {
    type: mapOf(zoneRules, { pattern: `^(${ZONES.join('|')})$`, what: `a zone: ${ZONES.join(', ')}` }),
    about: 'What holds for steps and agents of a zone.',
  },
  projects: {
    type: mapOf(project, { pattern: '^([A-Za-z0-9][A-Za-z0-9._-]{0,62}|\\*)$', what: 'the name of a project, or "*" for all others' }),
    about: 'What projects may take; "*" is for each that is not named.',
  },
  canaries: { type: record('{every, timeout}', canary), about: 'Small builds that find out whether pools work. Default: none.' },
  environments: {
    type: mapOf(environment, SETTING_KEY),
    about: 'Where builds may be for: "switchyard run --environment NAME" puts their steps there.',
  },
  flags: {
    type: mapOf(featureFlag, SETTING_KEY),
    about: 'Feature flags by name; expressions of pipelines find their values as flags.NAME.',
  },
  builds: { type: builds, about: 'What builds must say of themselves. Actions of build tools are none.' },
});

export type TopologyAsWritten = NonNullable<ReturnType<typeof topologyType.read>>;

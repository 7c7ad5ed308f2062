import type { Fault } from '../../../base/fault.ts';
import { TRUSTED_LABELS } from '../../../base/labels.ts';
import { parseCpuMillis, parseSizeBytes } from '../../../base/quantity.ts';
import { SANDBOX_TRAITS, type SandboxTrait } from '../../../base/sandbox-trait.ts';
import { didYouMean } from '../../../base/suggest.ts';
import { parseZone, ZONES, type Zone } from '../../../base/zone.ts';
import type { PoolShape } from '../../core/demand.ts';
import { bad, brief } from '../fields.ts';

/** What the trigger of a ScaledObject says: which pool, what one agent of it is like, and how far ahead to be. */
export type Trigger = {
  readonly cluster: string;
  readonly pool: string;
  /** Undefined: that of the cluster in the topology. */
  readonly zone: Zone | undefined;
  readonly shape: Omit<PoolShape, 'labels'> & { readonly labels: Readonly<Record<string, string>> };
  /** Slots that are to be free beside what is wanted. */
  readonly floor: number;
  /** How much of a step counts that waits only for steps that run, from 0 to 1. */
  readonly lookAhead: number;
};

/** Half of what may come soon: some of it is found in the cache, or never comes; and an agent takes a while to start. */
const LOOK_AHEAD = 0.5;
/** Slots of one agent, as agents themselves take it. */
const SLOTS_MAX = 1_024;
/** Slots that may be kept free. */
const FLOOR_MAX = 100_000;
const FIELDS = ['pool', 'slots', 'cpu', 'memory', 'resources', 'labels', 'sandbox', 'zone', 'floor', 'lookAhead'] as const;
/** What KEDA itself reads of a trigger of this type; it hands on all that is there. */
const KEDA = ['scalerAddress', 'enableTLS', 'unsafeSsl', 'caCert', 'tlsClientCert', 'tlsClientKey'] as const;
const NAME = '[A-Za-z0-9][A-Za-z0-9._-]{0,62}';
const LABEL = /^([A-Za-z0-9](?:[A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?)=((?:[A-Za-z0-9](?:[A-Za-z0-9._:+-]{0,251}[A-Za-z0-9])?)?)$/;

type Field = (typeof FIELDS)[number];

/** @throws {Fault} BAD_REQUEST naming the field and what it must be */
export function triggerFrom(metadata: Readonly<Record<string, string>>): Trigger {
  for (const key of Object.keys(metadata)) {
    if ([...FIELDS, ...KEDA].some((known) => known === key)) continue;
    throw wrong(key, `is not known here (known are ${FIELDS.join(', ')})${didYouMean(key, FIELDS)}`);
  }
  const said = (field: Field) => (Object.hasOwn(metadata, field) ? metadata[field] : undefined);
  const [, cluster = '', pool = ''] = new RegExp(`^(${NAME})/(${NAME})$`).exec(said('pool') ?? '') ?? [];
  if (pool === '') throw wrong('pool', `must be <cluster>/<pool> as agents' credentials have them, ${but(said('pool'))}`);
  const zone = said('zone');
  if (zone !== undefined && parseZone(zone) === undefined) throw wrong('zone', `must be one of ${ZONES.join(', ')}, ${but(zone)}`);
  const slots = numberOf('slots', said('slots'), { min: 1, max: SLOTS_MAX, whole: true });
  if (slots === undefined) throw wrong('slots', 'must say how many steps one agent of the pool runs at once, such as "4"');
  return {
    cluster,
    pool,
    zone: zone === undefined ? undefined : parseZone(zone),
    shape: {
      labels: labelsOf(said('labels')),
      capacity: {
        slots,
        cpuMillis: quantityOf('cpu', said('cpu'), parseCpuMillis, 'a number of cores such as "4" or "3500m"'),
        memoryBytes: quantityOf('memory', said('memory'), parseSizeBytes, 'a size such as "7Gi"'),
        custom: resourcesOf(said('resources')),
      },
      sandbox: words(said('sandbox')).map(traitOf),
    },
    floor: numberOf('floor', said('floor'), { min: 0, max: FLOOR_MAX, whole: false }) ?? 0,
    lookAhead: numberOf('lookAhead', said('lookAhead'), { min: 0, max: 1, whole: false }) ?? LOOK_AHEAD,
  };
}

function wrong(field: string, fix: string): Fault {
  return bad(`scaler_metadata["${brief(field)}"]`, fix);
}

function but(value: string | undefined): string {
  return value === undefined ? 'but is not there' : `but is "${brief(value)}"`;
}

function words(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

type Bounds = { readonly min: number; readonly max: number; readonly whole: boolean };

function numberOf(field: Field, text: string | undefined, { min, max, whole }: Bounds): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,9}(\.[0-9]{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  throw wrong(field, `must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}, but is "${brief(text)}"`);
}

/** What is not said bounds nothing. */
function quantityOf(field: Field, text: string | undefined, parse: (text: string) => number | undefined, form: string): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const value = parse(text);
  if (value === undefined || value <= 0) throw wrong(field, `must be ${form}, but is "${brief(text)}"`);
  return value;
}

/** `os` is always there, and Linux where nothing else is said: agents say it of themselves. */
function labelsOf(text: string | undefined): Readonly<Record<string, string>> {
  const labels: Record<string, string> = { os: 'linux' };
  for (const word of words(text)) {
    const [, key = '', value = ''] = LABEL.exec(word) ?? [];
    if (key === '')
      throw wrong('labels', `must be key=value pairs with commas between, such as "arch=amd64,class=central", but has "${brief(word)}"`);
    if (TRUSTED_LABELS.some((trusted) => trusted === key)) throw wrong('labels', `must not have ${key}: it comes from "pool" and "zone"`);
    labels[key] = value;
  }
  return labels;
}

function resourcesOf(text: string | undefined): Readonly<Record<string, number>> {
  const custom: Record<string, number> = {};
  for (const word of words(text)) {
    const [, name = '', count = ''] = /^([A-Za-z0-9][A-Za-z0-9._/-]{0,62})=([1-9][0-9]{0,14})$/.exec(word) ?? [];
    if (name === '') throw wrong('resources', `must be name=count pairs with commas between, such as "gpu=1", but has "${brief(word)}"`);
    custom[name] = Number(count);
  }
  return custom;
}

function traitOf(word: string): SandboxTrait {
  const trait = SANDBOX_TRAITS.find((known) => known === word);
  if (trait === undefined) throw wrong('sandbox', `has "${brief(word)}", but traits are ${SANDBOX_TRAITS.join(', ')}`);
  return trait;
}

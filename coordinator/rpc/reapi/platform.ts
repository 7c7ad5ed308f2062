import { parseCpuMillis, parseSizeBytes, QUANTITY_FORMS } from '../../../base/quantity.ts';
import { SANDBOX_TRAITS } from '../../../base/sandbox-trait.ts';
import { parseZone } from '../../../base/zone.ts';
import { sandboxTraitToProto, zoneToProto } from '../../../proto/convert.ts';
import type { Platform__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/Platform.ts';
import type { StepSpec__Output } from '../../../proto/gen/switchyard/v1/StepSpec.ts';
import { bad, brief, wholeField } from '../fields.ts';

/** What an action asks of its place, as the fields of a step that say the same. */
export type Demands = Pick<StepSpec__Output, 'selector' | 'zone' | 'sandbox' | 'network' | 'passEnv'> & {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly custom: Readonly<Record<string, string>>;
};

type Draft = {
  selectors: string[];
  zone: Demands['zone'];
  sandbox: Demands['sandbox'];
  network: boolean;
  passEnv: string[];
  cpuMillis: number;
  memoryBytes: number;
  custom: Record<string, string>;
};

/** Takes one property up. @throws {Fault} BAD_REQUEST naming `field` */
type Reader = (draft: Draft, value: string, field: string) => void;

/** Names of instruction sets, in lower case, as agents spell them in their label `arch`. */
const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ['x86-64', 'amd64'],
  ['x86_64', 'amd64'],
  ['amd64', 'amd64'],
  ['x86-32', '386'],
  ['arm-a64', 'arm64'],
  ['aarch64', 'arm64'],
  ['arm64', 'arm64'],
]);

const NETWORKS: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['standard', true],
  ['bridge', true],
  ['off', false],
  ['none', false],
]);

const network: Reader = (draft, value, field) => {
  const wanted = NETWORKS.get(value.toLowerCase());
  if (wanted === undefined) throw bad(field, `must be one of ${[...NETWORKS.keys()].join(', ')}, but is "${brief(value)}"`);
  draft.network = wanted;
};

const cores: Reader = (draft, value, field) => {
  const millis = parseCpuMillis(value);
  if (millis === undefined) throw bad(field, `must be ${QUANTITY_FORMS.cpu}, but is "${brief(value)}"`);
  draft.cpuMillis = Math.max(draft.cpuMillis, millis);
};

const memory: Reader = (draft, value, field) => {
  const bytes = parseSizeBytes(value.replace(/B$/, '')); // some write 2GB
  if (bytes === undefined) throw bad(field, `must be ${QUANTITY_FORMS.size}, but is "${brief(value)}"`);
  draft.memoryBytes = Math.max(draft.memoryBytes, bytes);
};

/** The properties that mean something here. The first five are those of our own steps' actions: these can be run again as they are. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['selector', (draft, value) => void draft.selectors.push(value)],
  ['network', network],
  [
    'zone',
    (draft, value, field) => {
      const zone = parseZone(value);
      if (zone === undefined) throw bad(field, `must be untrusted, trusted or production, but is "${brief(value)}"`);
      draft.zone = zoneToProto(zone);
    },
  ],
  [
    'sandbox',
    (draft, value, field) => {
      const trait = SANDBOX_TRAITS.find((known) => known === value);
      if (trait === undefined) throw bad(field, `must be one of ${SANDBOX_TRAITS.join(', ')}, but is "${brief(value)}"`);
      draft.sandbox.push(sandboxTraitToProto(trait));
    },
  ],
  ['pass-env', (draft, value) => void draft.passEnv.push(value)],
  ['OSFamily', (draft, value) => void draft.selectors.push(`os=${value.toLowerCase()}`)],
  [
    'ISA',
    (draft, value, field) => {
      const arch = ARCHITECTURES.get(value.toLowerCase());
      if (arch === undefined) throw bad(field, `must be one of ${[...ARCHITECTURES.keys()].join(', ')}, but is "${brief(value)}"`);
      draft.selectors.push(`arch=${arch}`);
    },
  ],
  ['Pool', (draft, value) => void draft.selectors.push(`pool=${value}`)],
  ['dockerNetwork', network],
  ['min-cores', cores],
  ['cores', cores],
  ['EstimatedCPU', cores],
  ['EstimatedMemory', memory],
]);

const LABEL = 'label:';
const RESOURCE = 'resource:';

/** The names of all properties that mean something here, for documents and messages. */
export const PROPERTY_NAMES: readonly string[] = [...READERS.keys(), `${LABEL}<key>`, `${RESOURCE}<name>`];

/**
 * What the platform asks for. A property that means nothing here is refused, unless it is among the `ignored`: a demand that is
 * silently left out would give results of the wrong place. @throws {Fault} BAD_REQUEST naming the property
 */
export function demandsOf(platform: Platform__Output | null, field: string, ignored: ReadonlySet<string>): Demands {
  const draft: Draft = {
    selectors: [],
    zone: 'ZONE_UNSPECIFIED',
    sandbox: [],
    network: false,
    passEnv: [],
    cpuMillis: 0,
    memoryBytes: 0,
    custom: {},
  };
  for (const { name, value } of platform?.properties ?? []) {
    const at = `${field}.properties["${brief(name)}"]`;
    const read = READERS.get(name);
    if (read !== undefined) read(draft, value, at);
    else if (name.startsWith(LABEL)) draft.selectors.push(`${name.slice(LABEL.length)}=${value}`);
    else if (name.startsWith(RESOURCE))
      draft.custom[name.slice(RESOURCE.length)] = String(wholeField(value, at, 0, Number.MAX_SAFE_INTEGER));
    else if (!ignored.has(name))
      throw bad(at, `means nothing here. Known are ${PROPERTY_NAMES.join(', ')}; --ignore-property adds names to leave out`);
  }
  const { selectors, ...rest } = draft;
  return { ...rest, selector: selectors.join(', ') };
}

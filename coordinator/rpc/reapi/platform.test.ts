import { expect, test } from 'vitest';
import { demandsOf } from './platform.ts';

const demands = (properties: readonly (readonly [string, string])[], ignored: readonly string[] = []) =>
  demandsOf({ properties: properties.map(([name, value]) => ({ name, value })) }, 'command.platform', new Set(ignored));

test('a platform that asks for nothing is one step’s worth of any agent', () => {
  const nothing = {
    selector: '',
    zone: 'ZONE_UNSPECIFIED',
    sandbox: [],
    network: false,
    passEnv: [],
    cpuMillis: 0,
    memoryBytes: 0,
    custom: {},
  };
  expect(demandsOf(null, 'p', new Set())).toEqual(nothing);
  expect(demands([])).toEqual(nothing);
});

test.for([
  [['OSFamily', 'Linux'], { selector: 'os=linux' }],
  [['ISA', 'x86-64'], { selector: 'arch=amd64' }],
  [['ISA', 'aarch64'], { selector: 'arch=arm64' }],
  [['Pool', 'central'], { selector: 'pool=central' }],
  [['label:gpu', 'a100'], { selector: 'gpu=a100' }],
  [['selector', 'class=edge, !gpu'], { selector: 'class=edge, !gpu' }],
  [['network', 'on'], { network: true }],
  [['dockerNetwork', 'standard'], { network: true }],
  [['dockerNetwork', 'off'], { network: false }],
  [['min-cores', '2'], { cpuMillis: 2_000 }],
  [['EstimatedCPU', '500m'], { cpuMillis: 500 }],
  [['EstimatedMemory', '2GB'], { memoryBytes: 2e9 }],
  [['EstimatedMemory', '2Gi'], { memoryBytes: 2 ** 31 }],
  [['resource:license', '3'], { custom: { license: '3' } }],
  [['zone', 'trusted'], { zone: 'ZONE_TRUSTED' }],
  [['sandbox', 'isolatesFiles'], { sandbox: ['SANDBOX_TRAIT_ISOLATES_FILES'] }],
  [['pass-env', 'LICENSE_SERVER'], { passEnv: ['LICENSE_SERVER'] }],
] as const)('%j is %j', ([property, expected]) => {
  expect(demands([property])).toMatchObject(expected);
});

test('all properties hold together, and of two amounts the larger one', () => {
  const both = demands([
    ['ISA', 'x86-64'],
    ['OSFamily', 'linux'],
    ['min-cores', '1'],
    ['cores', '4'],
  ]);
  expect(both).toMatchObject({ selector: 'arch=amd64, os=linux', cpuMillis: 4_000 });
});

test.for([
  ['container-image', 'docker://x'],
  ['osfamily', 'linux'],
  ['ISA', 'vax'],
  ['network', 'perhaps'],
  ['zone', 'mine'],
  ['sandbox', 'strong'],
  ['min-cores', 'many'],
  ['EstimatedMemory', '-1'],
  ['resource:gpu', '1.5'],
] as const)('%s = %s is refused, naming the property', ([name, value]) => {
  const field = `command.platform.properties["${name}"]`;
  expect(() => demands([[name, value]])).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', field }));
});

test('a property that the operator said to ignore is left out of account, and no other', () => {
  expect(demands([['container-image', 'docker://x']], ['container-image'])).toMatchObject({ selector: '' });
  expect(() => demands([['container-imag', 'docker://x']], ['container-image'])).toThrow('means nothing here');
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSelector, selects, unmet, type Selector } from './selector.ts';

function selector(text: string): Selector {
  const parsed = parseSelector(text);
  if (parsed.kind === 'bad') throw new Error(parsed.message);
  return parsed.selector;
}

const AGENT = { class: 'edge', arch: 'arm64', ram: '8Gi', cores: '4', os: '22.04', kernel: '6.1.9', 'example.com/rack': 'r-7' };

test.for([
  ['', true],
  ['class=edge', true],
  ['class==edge', true],
  ['class != edge', false],
  ['gpu!=a100', true],
  ['arch in (amd64, arm64)', true],
  ['arch notin (amd64,arm64)', false],
  ['gpu notin (a100)', true],
  ['class', true],
  ['gpu', false],
  ['!gpu', true],
  ['!class', false],
  ['class=edge,arch=amd64', false],
  ['ram>=8Gi', true],
  ['ram > 8192Mi', false],
  ['ram<9G', true],
  ['cores>2500m', true],
  ['gpu>0', false],
  ['class<5', false],
  ['os>=20.10', true],
  ['kernel<6.10.0', true],
  ['kernel>=6.2', false],
  ['example.com/rack=r-7', true],
] as const)('"%s" selects the agent: %s', ([text, expected]) => {
  expect(selects(selector(text), AGENT)).toBe(expected);
});

test.for([
  ['class=', 'ends where a value after "=" should follow', 7],
  ['=edge', 'Expected a label, found "="', 1],
  ['class edge', 'Expected an operator', 7],
  ['class in edge', 'Expected "(" after "in", found "edge"', 10],
  ['class in (edge', 'ends where "," or ")" should follow', 15],
  ['class in ()', 'Expected a value after "in", found ")"', 11],
  ['a=b,,c=d', 'Expected a label, found ","', 5],
  ['a=b,', 'A requirement should follow the last ","', 4],
  ['a=b c=d', 'Expected "," between requirements, found "c"', 5],
  ['ram >= much', '"much" cannot be compared', 8],
  ['a=b;c', 'Unexpected ";"', 4],
  ['a/b/c=d', 'is no label key', 1],
] as const)('"%s" is refused with the place', ([text, message, at]) => {
  expect(parseSelector(text)).toMatchObject({ kind: 'bad', at, message: expect.stringContaining(message) });
});

test('the canonical text is one for all orders and spellings, and means the same', () => {
  expect(selector('b in (y,x), a==1,!c').canonical).toBe(selector('!c,a=1 , b in (x, y)').canonical);
  const word = fc.constantFrom('a', 'b', 'c');
  const part = fc.oneof(
    fc
      .tuple(word, fc.constantFrom('=', '!=', '<', '>='), fc.constantFrom('1', '2', '3'))
      .map(([key, operator, value]) => `${key}${operator}${value}`),
    fc
      .tuple(word, fc.constantFrom('in', 'notin'), fc.subarray(['1', '2', '3'], { minLength: 1 }))
      .map(([key, operator, values]) => `${key} ${operator} (${values.join(',')})`),
    word,
    word.map((key) => `!${key}`),
  );
  const labels = fc.dictionary(word, fc.constantFrom('1', '2', '3'));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), labels, (parts, agent) => {
      const first = selector(parts.join(','));
      const again = selector(first.canonical);
      expect(again.canonical).toBe(first.canonical);
      expect(selects(again, agent)).toBe(selects(first, agent));
      expect(unmet(first, agent).length === 0).toBe(selects(first, agent));
    }),
  );
});

test('what is unmet is said with what is there instead', () => {
  expect(unmet(selector('class=central,gpu,ram>=64Gi'), AGENT)).toEqual([
    'class=central, but class is edge',
    'gpu, but there is no label gpu',
    'ram>=64Gi, but ram is 8Gi',
  ]);
});

test('a label called like a property of all objects is only there when an agent has it', () => {
  expect(selects(selector('constructor'), {})).toBe(false);
  expect(selects(selector('toString!=x'), {})).toBe(true);
});

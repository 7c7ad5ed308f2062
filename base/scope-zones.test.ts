import { expect, test } from 'vitest';
import { parseScopeZones } from './scope-zones.ts';

test('a demand is for its scope and no other; one that names the project goes first', () => {
  const zoneOf = parseScopeZones('*/main=trusted, web/release=production,web/main=production');
  expect(zoneOf('web', 'main')).toBe('production');
  expect(zoneOf('api', 'main')).toBe('trusted');
  expect(zoneOf('web', 'release')).toBe('production');
  expect(zoneOf('api', 'release')).toBe('untrusted');
  expect(zoneOf('web', 'main/pr-7')).toBe('untrusted');
  expect(parseScopeZones('')('web', 'main')).toBe('untrusted');
});

test.for(['main=trusted', 'web/main', 'web/main=high', '/main=trusted', 'web/=trusted', 'web/../main=trusted', '*/*=trusted'])(
  '"%s" is refused with the form that it should have',
  (text) => {
    expect(() => parseScopeZones(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', field: 'scopeZones' }));
  },
);

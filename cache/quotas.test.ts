import { expect, test } from 'vitest';
import { parseFloors, parseQuotas } from './quotas.ts';

test('the quota of a scope is the nearest that was given', () => {
  const quotaOf = parseQuotas(['web/main=20Gi:1000', 'web=1Gi:10', '*=1Mi:5']);
  const of = (project: string, scope: string) => quotaOf({ project, scope });
  expect(of('web', 'main')).toEqual({ blobBytes: 20 * 2 ** 30, entryCount: 1_000 });
  expect(of('web', 'main/pr-7')).toEqual({ blobBytes: 2 ** 30, entryCount: 10 });
  expect(of('api', 'main')).toEqual({ blobBytes: 2 ** 20, entryCount: 5 });
  expect(parseQuotas([])({ project: 'web', scope: 'main' })).toBeUndefined();
  const floorOf = parseFloors(['web/release=production', '*=trusted', 'api/.own=production']);
  const scopes = ['web/release', 'web/main', 'web/.archive', 'api/.own'].map((text) => text.split('/'));
  expect(scopes.map(([project = '', scope = '']) => floorOf({ project, scope }))).toEqual([
    'production',
    'trusted',
    undefined,
    'production',
  ]);
});

test('quotas and zones that cannot be read are refused, with the form', () => {
  for (const text of ['web/main', 'web/main=1Gi', 'web/main=1Gi:0', 'web/main=:5', 'we b=1Gi:5', 'web/..=1Gi:5', 'web=1Gi:5=2', '=1Gi:5']) {
    expect(() => parseQuotas([text])).toThrow(`--scope-quota "${text}": want <project>/<scope>`);
  }
  expect(() => parseQuotas(['web=1Gi:5', 'web=2Gi:5'])).toThrow('"web" is given twice');
  expect(() => parseFloors(['web=high'])).toThrow('one of untrusted, trusted, production');
});

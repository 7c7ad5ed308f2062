import { expect, test } from 'vitest';
import { stepUnknown } from './step-name.ts';

test.for([
  ['tets', ['test', 'lint'], 'Did you mean "test"?'],
  ['test', ['test[shard=1]', 'test[shard=2]', 'lint'], 'It has a matrix: say which of "test[shard=1]", "test[shard=2]".'],
  ['tset', ['test[shard=1]', 'lint'], 'Did you mean "test"?'],
  ['deploy', ['test', 'lint'], 'Its steps: test, lint.'],
] as const)('%s among %j', ([name, known, hint]) => {
  expect(stepUnknown(name, known)).toMatchObject({ code: 'STEP_UNKNOWN', hint });
});

import { expect, it } from 'vitest';
import { isPassing, redisFault } from './faults.ts';

it.each([
  'Reached the max retries per request limit (which is 0). Refer to "maxRetriesPerRequest" option for details.',
  "Stream isn't writeable and enableOfflineQueue options is false",
  "Cluster isn't ready and enableOfflineQueue options is false",
  'Connection is closed.',
  "Socket timeout. Expecting data, but didn't receive any in 1000ms.",
  'Failed to refresh slots cache.',
  'connect ECONNREFUSED 127.0.0.1:6379',
])('a lost connection is worth another try, and is told without the words of the client library: %s', (message) => {
  expect(isPassing(new Error(message))).toBe(true);
  const fault = redisFault(new Error(message), 'h:6379');
  expect(fault).toMatchObject({ code: 'LEDGER_UNAVAILABLE', message: expect.stringContaining('h:6379 cannot be reached') });
  expect(fault.message).not.toMatch(/enableOfflineQueue|maxRetriesPerRequest|slots cache|Expecting data/);
});

it.each([
  ['OOM command not allowed when used memory > maxmemory', true, 'maxmemory'],
  ['READONLY You cannot write against a read only replica.', true, 'redis-sentinel://'],
  ['NOREPLICAS Not enough good replicas to write.', true, 'replicas'],
  ['WRONGPASS invalid username-password pair', false, '--redis-password-file'],
  ['NOPERM this user has no permissions', false, 'docs/redis.md'],
] as const)('%s', (message, passing, advice) => {
  expect(isPassing(new Error(message))).toBe(passing);
  expect(redisFault(new Error(message), 'h:6379').hint).toContain(advice);
});

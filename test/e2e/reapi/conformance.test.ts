import { afterAll, beforeAll, expect, test } from 'vitest';
import { execution } from '../../conformance/checks/execution.ts';
import { runSuite } from '../../conformance/suite.ts';
import { startRealYard, type RealYard } from '../real-yard.ts';
import { PATIENCE_MS } from '../../fixtures/until.ts';

let yard: RealYard;

beforeAll(async () => {
  yard = await startRealYard({ agents: ['one'] });
}, 2 * PATIENCE_MS);

afterAll(() => yard[Symbol.asyncDispose]());

test.for(execution.checks)('a yard: $claim', { timeout: 2 * PATIENCE_MS }, async (check) => {
  const { dataAddress: address } = await yard.server.server(new AbortController().signal);
  const endpoint = { address, instance: 'local/main', token: undefined, readerToken: undefined };
  const findings = await runSuite(endpoint, undefined, [{ ...execution, checks: [check] }]);
  expect(findings.map(({ verdict }) => verdict)).toEqual([{ kind: 'holds' }]);
});

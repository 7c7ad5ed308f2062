import { afterAll, beforeAll, expect, test } from 'vitest';
import { execution } from '../../conformance/checks/execution.ts';
import { Session } from '../../conformance/session.ts';
import { PATIENCE_MS, startRealYard, type RealYard } from '../real-yard.ts';

const never = new AbortController().signal;
let yard: RealYard;
let session: Session;

beforeAll(async () => {
  yard = await startRealYard({ agents: ['one'] });
  const address = (await yard.server.server(never)).dataAddress;
  session = await Session.open({ address, instance: 'local/main', token: undefined, readerToken: undefined }, undefined);
}, 2 * PATIENCE_MS);

afterAll(async () => {
  session[Symbol.dispose]();
  await yard[Symbol.asyncDispose]();
});

test.for(execution.checks)('a yard: $claim', { timeout: 2 * PATIENCE_MS }, async ({ run }) => {
  await expect(run(session, undefined)).resolves.toBeUndefined();
});

import { describe } from 'vitest';
import { serveOverTls, testBreaking, testClients } from '../e2e/clients/suite.ts';
import { needs } from '../fixtures/host.ts';
import { reccCache } from './recc.ts';

describe.runIf(needs('compiler'))('a client', () => {
  serveOverTls();
  testClients([reccCache]);
  testBreaking([reccCache]);
});

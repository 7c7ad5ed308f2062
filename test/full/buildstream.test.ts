import { describe } from 'vitest';
import { serveOverTls, testBreaking, testClients } from '../e2e/clients/suite.ts';
import { needs } from '../fixtures/host.ts';
import { buildStream } from './buildstream.ts';

describe.runIf(needs('bubblewrap'))('a client', () => {
  serveOverTls();
  testClients([buildStream]);
  testBreaking([buildStream]);
});

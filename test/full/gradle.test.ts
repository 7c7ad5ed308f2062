import { describe } from 'vitest';
import { testBreaking, testClients } from '../e2e/clients/suite.ts';
import { needs } from '../fixtures/host.ts';
import { gradle } from './gradle.ts';

/** Of 200 packages, the first time. */
const INSTALL_MS = 600_000;
/** Of several builds, each of which starts a Java of its own. */
const TEST_MS = 900_000;

describe.runIf(needs('bubblewrap'))('a client', () => {
  testClients([gradle], INSTALL_MS);
  testBreaking([gradle], INSTALL_MS, TEST_MS);
});

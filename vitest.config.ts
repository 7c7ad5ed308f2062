import { globSync, readFileSync } from 'node:fs';
import { configDefaults, defineConfig } from 'vitest/config';
import { CapabilityReporter, checkRequired } from './test/fixtures/capability-reporter.ts';

/** Tests of the host: they start whole yards or need more than a step's sandbox gives. All others are `plain`. */
const HOST_TESTS = ['test/e2e/**/*.test.ts', '**/*.host.test.ts'];

/** Of a test, and of what prepares it: for hosts that are slow and busy. Whoever waits in it says sooner what for (`until`). */
const PATIENT_MS = 180_000;

/** Tests in containers, for which a Docker engine is started and images are made first: `npm run test:full`. */
const FULL_TESTS = ['test/full/**/*.test.ts'];

export default defineConfig(() => {
  checkRequired(process.env['SWITCHYARD_REQUIRE']);
  const common = { maxWorkers: 2, testTimeout: PATIENT_MS, hookTimeout: PATIENT_MS };
  return {
    test: {
      ...common,
      // The table first: what failed, and the count, are the last thing to see.
      reporters: [new CapabilityReporter(), 'default'],
      projects: [
        {
          test: {
            ...common,
            name: 'plain',
            include: ['**/*.test.ts'],
            exclude: [...configDefaults.exclude, ...HOST_TESTS, ...FULL_TESTS, ...leftOut(), '.switchyard/**'],
          },
        },
        { test: { ...common, name: 'host', include: HOST_TESTS, exclude: [...configDefaults.exclude, '.switchyard/**'] } },
        {
          test: {
            ...common,
            name: 'full',
            include: FULL_TESTS,
            globalSetup: ['test/full/setup.ts'],
            hookTimeout: 300_000,
          },
        },
      ],
    },
  };
});

/** Tests that need a Redis, where it was said that there is none: all that take one from our fixtures. */
function leftOut(): readonly string[] {
  if (process.env['SWITCHYARD_TEST_REDIS'] !== 'none') return [];
  process.stdout.write('SWITCHYARD_TEST_REDIS=none: tests that need a Redis are left out\n');
  const files = globSync('**/*.test.ts', { exclude: (name) => name === 'node_modules' || name.startsWith('.') });
  return files.filter((file) => readFileSync(file, 'utf8').includes('/fixtures/redis'));
}

import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { objectStoreContract } from '../../test/contract/object-store.ts';
import { startFakeS3, type FakeS3, type FakeTraits } from '../../test/fixtures/fake-s3.ts';
import { openS3Objects } from './s3.ts';

const signal = new AbortController().signal;
const env = { log: silentLogger, clock: systemClock };
const MIB = 1024 * 1024;

const SUBJECTS: readonly { readonly name: string; readonly traits: Partial<FakeTraits>; readonly conditionalPut: boolean }[] = [
  { name: 'S3', traits: {}, conditionalPut: true },
  { name: 'S3 that ignores conditions', traits: { conditions: 'ignore', conditionsOfParts: 'ignore' }, conditionalPut: false },
  {
    name: 'S3 that refuses conditions, with session credentials',
    traits: { conditions: 'refuse', keys: { accessKeyId: 'temporary', secretAccessKey: 's/e+c=ret', sessionToken: 'tok/en+==' } },
    conditionalPut: false,
  },
];

for (const { name, traits, conditionalPut } of SUBJECTS) {
  let fake: FakeS3;
  beforeAll(async () => {
    fake = await startFakeS3(traits);
  });
  afterAll(() => fake[Symbol.asyncDispose]());
  objectStoreContract({
    name,
    traits: { conditionalPut, presigned: true, shared: true },
    manyPartsBytes: 3 * MIB + 7,
    open: () =>
      openS3Objects(
        { config: { ...fake.config, prefix: 'yard/' }, env, tuning: { multipartBytes: 2 * MIB + 10, partBytes: MIB, pageSize: 7 } },
        signal,
      ),
  });
}

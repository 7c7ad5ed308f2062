import { expect, test } from 'vitest';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { endOf, startRealYard, submittedBy, writeFiles, type RealYard } from './real-yard.ts';

/** More than are looked up in the cache at once. */
const CACHED_STEPS = 80;
const PLAIN_STEPS = 20;

/** Steps that need nothing of each other; all are looked up in the cache, and leave something. */
const CACHED = `version: 1
name: cached
defaults: { timeout: 10m, resources: { cpu: 0.01, memory: 64Mi }, labels: name=one }
steps:
${Array.from({ length: CACHED_STEPS }, (_, index) => `  s${index}: { run: 'echo ${index} >out', outputs: [out] }`).join('\n')}
`;

/** Each after the one before it, so that it cannot end with any of them held up; nothing of them is in the cache. */
const PLAIN = `version: 1
name: plain
defaults: { timeout: 10m, resources: { cpu: 0.01, memory: 64Mi }, labels: name=two }
steps:
${Array.from({ length: PLAIN_STEPS }, (_, index) => `  s${index}: { run: 'true', cache: false${index === 0 ? '' : `, needs: s${index - 1}`} }`).join('\n')}
`;

async function submit(yard: RealYard, file: string): Promise<string> {
  await using running = startSwitchyard(['run', '--detach', '-f', file, '-o', 'json', ...yard.at], { cwd: yard.work });
  const build = await submittedBy(running);
  await running.ended;
  return build;
}

test(
  'steps that ask nothing of the store are dispatched and end while it hangs, with the lookups of another build in front of them',
  { timeout: 4 * PATIENCE_MS },
  async () => {
    await using s3 = await startFakeS3();
    const { accessKeyId, secretAccessKey } = s3.traits.keys;
    await using yard = await startRealYard({
      agents: ['one', 'two'],
      coordinatorArgs: ['--store', 's3', '--s3-endpoint', s3.endpoint, '--s3-bucket', s3.bucket, '--s3-access-key-id', accessKeyId],
      env: { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: secretAccessKey },
    });
    await writeFiles(yard.work, { 'cached.yaml': CACHED, 'plain.yaml': PLAIN });
    const [hung, answered]: string[][] = [[], []];
    let hangs = true;
    s3.decide = ({ method, key }) => {
      (hangs ? hung : answered)?.push(`${method} ${key}`);
      return hangs ? { kind: 'hang' } : undefined;
    };
    const cached = await submit(yard, 'cached.yaml');
    await until('the store is asked, and hangs', () => (hung?.length ?? 0) > 0);
    const plain = await endOf(yard.server, await submit(yard, 'plain.yaml'));
    expect(answered).toEqual([]);
    expect(plain.build, JSON.stringify(plain.steps[0])).toMatchObject({ verdict: 'succeeded', stepsEnded: PLAIN_STEPS, degraded: [] });
    expect(plain.steps.filter(({ attempts, source }) => attempts.length !== 1 || source !== 'run')).toEqual([]);

    hangs = false;
    const { build } = await endOf(yard.server, cached);
    expect(build).toMatchObject({ verdict: 'succeeded', stepsEnded: CACHED_STEPS });
  },
);

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { runSwitchyard, startSwitchyard } from '../fixtures/run-process.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { endOf, submittedBy, writeFiles } from './real-yard.ts';
import { startRedisYard, type RedisYard } from './redis-yard.ts';

const PIPELINE = (dir: string) => `version: 1
name: chain
defaults: { timeout: 5m }
steps:
  compile: { run: 'echo run >> "${dir}/runs"; cat source > object; echo compiled >> object', inputs: [source], outputs: [object] }
  link: { run: 'echo run >> "${dir}/runs"; cat object > program; echo linked >> program', needs: compile, outputs: [program] }
`;
/** On a busy host nobody is to lose the lead for being late. */
const TERM = ['--term-ttl', '20s', '--lease-ttl', '60s'];
const never = new AbortController().signal;

/** The entries that the caller sees; undefined while nobody can say. */
async function entriesOf(yard: RedisYard): Promise<readonly unknown[] | undefined> {
  const { stdout } = await runSwitchyard(['cache', 'ls', '-o', 'json', ...yard.at], { cwd: yard.work });
  if (stdout.trim() === '') return undefined;
  const listed: unknown = JSON.parse(stdout);
  return typeof listed === 'object' && listed !== null && 'entries' in listed && Array.isArray(listed.entries) ? listed.entries : undefined;
}

async function run(yard: RedisYard) {
  await using running = startSwitchyard(['run', ...yard.at, '-o', 'json'], { cwd: yard.work });
  const build = await submittedBy(running);
  await running.ended; // the next one would go on with the build of one that did not come to its end
  return { build, ended: await endOf(yard.server, build) };
}

test(
  'what a build left on the disk of a leader that died in an outage is published once, by the next leader, when host and store are back',
  { timeout: 5 * PATIENCE_MS },
  async () => {
    await using s3 = await startFakeS3();
    await using yard = await startRedisYard({ coordinators: 2, agents: { one: 4 }, coordinatorArgs: TERM, bucket: s3 });
    await writeFiles(yard.work, { source: 'text\n', 'switchyard.yaml': PIPELINE(yard.dir) });
    s3.decide = () => ({ kind: 'drop' });
    const { build, ended } = await run(yard);
    expect(ended.build.verdict, JSON.stringify(ended.steps)).toBe('succeeded');
    expect(ended.build.degraded.join()).toContain('compile, link: the store did not answer; what was left is staged');
    const first = await yard.leader();
    await first.end('SIGKILL');
    const second = await until('the other one leads', async () => {
      const leader = await yard.leader();
      return leader !== first && leader;
    });
    s3.decide = () => undefined;
    await until('the next leader sees the store', async () => (await entriesOf(yard)) !== undefined);
    expect(await entriesOf(yard)).toEqual([]); // their bytes are on the disk of a host that is away

    await first.start();
    await until('the entries are there', async () => (await entriesOf(yard))?.length === 2);
    expect(await yard.leader()).toBe(second);
    await until('the build says so', async () =>
      (await yard.server.snapshot(build, never)).build.degraded.join().includes('what was left was staged, and has been published since'),
    );
    expect((await run(yard)).ended.build).toMatchObject({ verdict: 'succeeded', stepsFromCache: 2, degraded: [] });
    expect(readFileSync(join(yard.dir, 'runs'), 'utf8')).toBe('run\nrun\n');
    expect(await entriesOf(yard)).toHaveLength(2);
  },
);

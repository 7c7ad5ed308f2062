import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { endOf, stepOf, submittedBy, writeFiles } from './real-yard.ts';
import { startRedisYard, type Member, type RedisYard } from './redis-yard.ts';

/** Agents keep what they made and fetched; only from another one does a step see what the data planes have. */
const PIPELINE = (dir: string) => `version: 1
name: gated
defaults: { timeout: 5m }
steps:
  begin: { run: 'while [ ! -e "${dir}/away" ]; do sleep 0.1; done', cache: false, sideEffects: false, labels: name=one }
  make: { run: 'echo run >> "${dir}/runs"; cat source > out; echo made >> out', inputs: [source], needs: begin, outputs: [out], labels: name=one }
  wait: { run: 'while [ ! -e "${dir}/taken-over" ]; do sleep 0.1; done', needs: make, cache: false, sideEffects: false, labels: name=one }
  use: { run: 'grep text out && grep made out', needs: [make, wait], cache: false, sideEffects: false, labels: name=two }
`;
/** On a busy host nobody is to lose the lead for being late. */
const TERM = ['--term-ttl', '20s', '--lease-ttl', '60s'];
const OUT = createHash('sha256').update('text\nmade\n').digest('hex');

/** The hosts on whose disk a blob of this hash waits for the store. */
function holders(yard: RedisYard, sha256: string): readonly Member[] {
  return yard.members.filter((_, index) => {
    const files = readdirSync(join(yard.dir, `coordinator-${index + 1}`, 'blobs', 'staging'), { recursive: true, encoding: 'utf8' });
    return files.some((file) => file.includes(sha256) && !file.endsWith('.by'));
  });
}

test(
  'what is staged on a host that is lost while the store is away is made again for those that need it, and the build succeeds',
  { timeout: 5 * PATIENCE_MS },
  async () => {
    await using s3 = await startFakeS3();
    await using yard = await startRedisYard({ coordinators: 2, agents: { one: 4, two: 4 }, coordinatorArgs: TERM, bucket: s3 });
    const mark = (name: string) => writeFileSync(join(yard.dir, name), '');
    await writeFiles(yard.work, { source: 'text\n', 'switchyard.yaml': PIPELINE(yard.dir) });
    await using running = startSwitchyard(['run', ...yard.at, '-o', 'json'], { cwd: yard.work });
    const build = await submittedBy(running);
    await until('it has begun', async () => (await stepOf(yard.server, build, 'begin')).phase === 'running');
    s3.decide = () => ({ kind: 'drop' });
    mark('away');
    await until('its output is staged', async () => (await stepOf(yard.server, build, 'make')).phase === 'ended');
    await until('another step has what it needs of it', async () => (await stepOf(yard.server, build, 'wait')).phase === 'running');
    const lost = holders(yard, OUT);
    expect(lost.length).toBe(1);
    for (const member of lost) await member.end('SIGKILL');
    await until('the other one leads', async () => !lost.includes(await yard.leader()));
    mark('taken-over');
    await until('the other step has ended', async () => (await stepOf(yard.server, build, 'wait')).phase === 'ended');
    s3.decide = () => undefined;
    const ended = await endOf(yard.server, build);
    expect(ended.steps.map(({ name, verdict }) => [name, verdict])).toEqual(ended.steps.map(({ name }) => [name, 'succeeded']));
    expect(readFileSync(join(yard.dir, 'runs'), 'utf8')).toBe('run\nrun\n');
    expect(ended.build.degraded.join()).toContain('make: ran again');
  },
);

test(
  'who asks a coordinator that follows leaves inputs where agents find them, while the store is away',
  { timeout: 5 * PATIENCE_MS },
  async () => {
    await using s3 = await startFakeS3();
    await using yard = await startRedisYard({ coordinators: 2, agents: { one: 4 }, coordinatorArgs: TERM, bucket: s3 });
    await writeFiles(yard.work, {
      source: 'text\n',
      'switchyard.yaml': `version: 1\nname: small\nsteps:\n  use: { run: 'grep text source', inputs: [source], timeout: 5m }\n`,
    });
    const leader = await yard.leader();
    s3.decide = () => ({ kind: 'drop' });
    for (const member of yard.members.filter((one) => one !== leader)) {
      await using running = startSwitchyard(['run', '--server', member.address, '-o', 'json'], { cwd: yard.work });
      const build = await submittedBy(running);
      const ended = await endOf(yard.server, build);
      expect(ended.build.verdict, JSON.stringify(ended.steps)).toBe('succeeded');
    }
  },
);

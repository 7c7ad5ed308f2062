import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { endOf, stepOf, submittedBy, writeFiles } from './real-yard.ts';
import { startRedisYard } from './redis-yard.ts';

const PIPELINE = (dir: string) => `version: 1
name: gated
defaults: { timeout: 5m }
steps:
  begin: { run: 'while [ ! -e "${dir}/away" ]; do sleep 0.1; done', cache: false, sideEffects: false }
  make: { run: 'echo run >> "${dir}/runs"; cat source > out; echo made >> out', inputs: [source], needs: begin, outputs: [out] }
  wait: { run: 'while [ ! -e "${dir}/taken-over" ]; do sleep 0.1; done', needs: make, cache: false, sideEffects: false }
  use: { run: 'grep text out && grep made out', needs: [make, wait], cache: false, sideEffects: false }
`;

test(
  'what is staged on a host that is lost while the store is away is made again once the store is back, and the build succeeds',
  { timeout: 5 * PATIENCE_MS },
  async () => {
    await using s3 = await startFakeS3();
    await using yard = await startRedisYard({ coordinators: 2, agents: { one: 4 }, bucket: s3 });
    const mark = (name: string) => writeFileSync(join(yard.dir, name), '');
    await writeFiles(yard.work, { source: 'text\n', 'switchyard.yaml': PIPELINE(yard.dir) });
    await using running = startSwitchyard(['run', ...yard.at, '-o', 'json'], { cwd: yard.work });
    const build = await submittedBy(running);
    await until('it has begun', async () => (await stepOf(yard.server, build, 'begin')).phase === 'running');
    s3.decide = () => ({ kind: 'drop' });
    mark('away');
    await until('its output is staged', async () => (await stepOf(yard.server, build, 'make')).phase === 'ended');
    const lost = await yard.leader();
    await lost.end('SIGKILL');
    await until('the other one leads', async () => (await yard.leader()) !== lost);
    mark('taken-over');
    await until('nothing but the store is waited for', async () => (await stepOf(yard.server, build, 'wait')).phase === 'ended');
    expect((await stepOf(yard.server, build, 'use')).phase).not.toBe('ended');
    s3.decide = () => undefined;
    const ended = await endOf(yard.server, build);
    expect(ended.steps.map(({ name, verdict }) => [name, verdict])).toEqual(ended.steps.map(({ name }) => [name, 'succeeded']));
    expect(readFileSync(join(yard.dir, 'runs'), 'utf8')).toBe('run\nrun\n');
    expect(ended.build.degraded.join()).toContain('make: ran again');
  },
);

import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../fixtures/until.ts';
import { startStage } from './protocol/stage.ts';

/** What of the state is backed up: the ledger. The token of the host's agents lies there too; those of a cluster have certificates. */
const KEPT = ['ledger.sqlite', 'ledger.sqlite-wal', 'agent-token'];

test(
  'a coordinator whose volume is lost goes on from the backup of its ledger, and what others need is made again',
  { timeout: 300_000 },
  async () => {
    await using stage = await startStage();
    await stage.agent('one').ready();
    const [made, taken, go] = [stage.path('made'), stage.path('taken'), stage.path('go')];
    const { run, build } = await stage.submit({
      make: { run: `echo once >> ${made} && head -c 100000 /dev/zero > output`, outputs: ['output'], sideEffects: false },
      gate: { run: `until [ -e ${go} ]; do sleep 0.1; done`, sideEffects: false },
      take: { run: `wc -c < output >> ${taken}`, needs: ['make', 'gate'] },
    });
    const { server } = stage.yard;
    const signal = new AbortController().signal;
    const phases = async () => new Map((await server.snapshot(build, signal)).steps.map(({ name, phase }) => [name, phase]));
    await until('one step has ended and one runs', async () => {
      const now = await phases();
      return now.get('make') === 'ended' && now.get('gate') === 'running';
    });
    await stage.yard.killCoordinator(async () => {
      const [state, backup] = [stage.path('coordinator'), stage.path('backup')];
      await mkdir(backup);
      const there = await readdir(state);
      const kept = KEPT.filter((name) => there.includes(name));
      expect(kept).toContain('ledger.sqlite');
      for (const name of kept) await copyFile(join(state, name), join(backup, name));
      await rm(state, { recursive: true });
      await mkdir(state, { mode: 0o700 });
      for (const name of kept) await copyFile(join(backup, name), join(state, name));
    });
    stage.open('go');
    expect(await run.ended, run.stdout()).toEqual({ code: 0, signal: null });
    expect(stage.lines('taken')).toEqual(['100000']);
    expect(stage.lines('made')).toEqual(['once', 'once']);
    expect(new Set((await phases()).values())).toEqual(new Set(['ended']));
  },
);

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { PATIENCE_MS } from '../fixtures/until.ts';
import { startRealYard, stepOf, writeFiles, type RealYard } from './real-yard.ts';

const MIB = 1024 * 1024;
/** A store that a few outputs fill. */
const SMALL = ['--cache-bytes', '64Mi'];

/** A file of so many bytes that no other has. */
const fileOf = (name: string, bytes: number) => `yes ${name} | head -c ${bytes} >${name}`;

async function run(yard: RealYard, steps: string) {
  await writeFiles(yard.work, { 'switchyard.yaml': `version: 1\nname: large\ndefaults: { timeout: 5m }\nsteps:\n${steps}` });
  const { code, stdout } = await runSwitchyard(['run', '-o', 'json', ...yard.at], { cwd: yard.work });
  const build = /"kind":"submitted","build":"(b-[0-9a-z]+)"/.exec(stdout)?.[1] ?? expect.unreachable(stdout);
  return { code, step: (name: string) => stepOf(yard.server, build, name) };
}

test(
  'an output that a store can never keep beside others fails its step at once, and says which option gives room; smaller ones are kept',
  { timeout: 3 * PATIENCE_MS },
  async () => {
    await using yard = await startRealYard({ agents: ['one'], coordinatorArgs: SMALL });
    const whole = await run(yard, `  make: { run: '${fileOf('whole', 64 * MIB)}', outputs: [whole] }\n`);
    expect(whole.code).toBe(1);
    const failed = await whole.step('make');
    expect(failed.attempts).toHaveLength(1);
    expect(failed.message).toMatch(/64Mi bytes cannot be kept in a store of 64Mi: one has at most 60Mi.*--max-bytes/);
    const most = await run(
      yard,
      `  make: { run: '${fileOf('most', 60 * MIB)}', outputs: [most] }
  use: { run: 'test "$(stat -c %s most)" = ${60 * MIB}', needs: make }
`,
    );
    expect(most.code, (await most.step('use')).message).toBe(0);
  },
);

test(
  'a step whose input made room for other outputs before it was read has the step that made it run again',
  { timeout: 3 * PATIENCE_MS },
  async () => {
    await using yard = await startRealYard({ agents: ['one', 'two'], coordinatorArgs: SMALL, agentArgs: ['--sandbox', 'process'] });
    const runs = join(yard.dir, 'runs');
    const { code, step } = await run(
      yard,
      `  make: { run: 'echo run >>"${runs}"; ${fileOf('wanted', 25 * MIB)}', outputs: [wanted], labels: { name: one } }
  flood: { run: '${fileOf('other', 50 * MIB)}', outputs: [other], needs: [{ step: make, outputs: false }], labels: { name: one } }
  use: { run: 'test "$(stat -c %s wanted)" = ${25 * MIB}', needs: [make, { step: flood, outputs: false }], labels: { name: two } }
`,
    );
    expect(code, (await step('use')).message).toBe(0);
    expect(readFileSync(runs, 'utf8')).toBe('run\nrun\n');
  },
);

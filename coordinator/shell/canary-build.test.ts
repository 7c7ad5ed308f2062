import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import { digestOf } from '../../cache/digest.ts';
import { buildId, Stage } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY } from '../../topology/model.ts';
import { canaryBuild, canaryInputs, canaryOutput } from './canary-build.ts';

const ID = buildId('canary');

/** The canary of a pool whose agents guarantee this. */
function stepFor(...sandboxes: readonly (readonly SandboxTrait[])[]) {
  const stage = new Stage();
  for (const [index, sandbox] of sandboxes.entries()) stage.agent(`a${index}`, { labels: { cluster: 'c', pool: 'p' }, sandbox });
  const sketch = { pool: 'c/p', id: ID, timeoutMs: 1_000, members: stage.scheduler.agents(), topology: OPEN_TOPOLOGY };
  return present(canaryBuild({ ...sketch, ...canaryInputs(ID) }).steps[0], 'a canary has a step');
}

/** Runs the step's command here, outside of any sandbox. */
function run({ command: [program = '', ...args], env }: ReturnType<typeof stepFor>, input: string) {
  const dir = mkdtempSync(join(tmpdir(), 'canary-'));
  try {
    writeFileSync(join(dir, 'in'), input);
    const { status } = spawnSync(program, args, { cwd: dir, env });
    const out = join(dir, 'out');
    return { status, left: existsSync(out) ? digestOf(readFileSync(out)) : undefined };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('the step leaves what is expected of the bytes that were put into the cache, and says so where it got others', () => {
  const [file = new Uint8Array()] = canaryInputs(ID).blobs.values();
  expect(run(stepFor([]), new TextDecoder().decode(file))).toEqual({ status: 0, left: canaryOutput(ID) });
  expect(run(stepFor([]), 'other bytes\n')).toEqual({ status: 3, left: undefined });
  expect(run(stepFor([]), '')).toEqual({ status: 3, left: undefined });
});

test('a route that leads out of the step is found, where the pool promises that there is none', () => {
  const routes = existsSync('/proc/net/route') ? readFileSync('/proc/net/route', 'utf8').trim().split('\n').length - 1 : 0;
  expect(run(stepFor(['isolatesNetwork']), `${ID}\n`).status).toBe(routes > 0 ? 4 : 0);
});

test('only what all agents of the pool promise is tried, and asked for', () => {
  expect(stepFor(['isolatesNetwork', 'isolatesFiles'], ['isolatesNetwork', 'limitsMemory']).sandbox).toEqual(['isolatesNetwork']);
  const text = (...sandboxes: readonly (readonly SandboxTrait[])[]) => stepFor(...sandboxes).command.join('\n');
  expect(text(['isolatesFiles'])).toContain('/usr');
  expect(text(['isolatesFiles'])).not.toContain('/proc/net');
  expect(text([])).not.toMatch(/usr|proc/);
});

test('each canary has bytes of its own', () => {
  expect(canaryInputs(ID).root).not.toBe(canaryInputs(buildId('other')).root);
  expect(canaryOutput(ID)).not.toBe(canaryOutput(buildId('other')));
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { processStart } from './process-start.ts';

test('a process keeps its start time, a later one has a later one, and one that is gone has none', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const own = Number(processStart(process.pid));
  const later = Number(processStart(pid));
  expect(processStart(process.pid)).toBe(String(own));
  expect(later).toBeGreaterThan(own);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(processStart(pid)).toBeUndefined();
});

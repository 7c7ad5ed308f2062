import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../base/log.ts';
import { needs } from '../../test/fixtures/host.ts';
import { until } from '../../test/fixtures/until.ts';
import { listProcesses } from '../spawn/processes.ts';
import { killTree, type NamespaceInit } from './supervise.ts';

/** The tree of a run that has ended, of which there was this. */
const treeOf = (init: NamespaceInit) => ({
  launcher: 2 ** 30,
  cgroup: undefined,
  marker: undefined,
  namespaced: true,
  namespaceInit: () => init,
});

/** A process that has come to a number which was another's. */
function stranger(...command: readonly string[]): Disposable & { readonly pid: number } {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: 'ignore' });
  return { pid: child.pid ?? 0, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

const lives = (pid: number) => spawnSync('sh', ['-c', 'kill -0 "$1"', 'sh', String(pid)]).status === 0;

describe('what comes to the pid of a step that is gone', () => {
  test('is left alone', async () => {
    using other = stranger('sleep', '600');
    await killTree(treeOf({ pid: other.pid, namespace: undefined }), silentLogger);
    await killTree(treeOf({ pid: other.pid, namespace: '4026532178' }), silentLogger);
    expect(listProcesses().find(({ pid }) => pid === other.pid)?.zombie).toBe(false);
    expect(lives(other.pid)).toBe(true);
  });

  test.runIf(needs('root'))('is left alone where it is the first process of another step, and killed where it is the one', async () => {
    const child = spawn('unshare', ['--pid', '--fork', '--kill-child=KILL', '--', 'sleep', '600'], { stdio: 'ignore' });
    const init = await until('it is there', () => listProcesses().find(({ parent }) => parent === child.pid)?.pid);
    const namespace = await until('it is in its own', () => {
      const link = readlinkSync(`/proc/${init}/ns/pid`);
      return link === readlinkSync('/proc/self/ns/pid') ? undefined : /\[([0-9]+)\]/.exec(link)?.[1];
    });
    await killTree(treeOf({ pid: init, namespace: String(Number(namespace) + 1) }), silentLogger);
    expect(lives(init)).toBe(true);
    const over = once(child, 'exit');
    await killTree(treeOf({ pid: init, namespace }), silentLogger);
    await over;
  });
});

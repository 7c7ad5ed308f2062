import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { needs } from '../../fixtures/host.ts';
import { startNetLab, type NetLab } from '../../fixtures/netns.ts';
import { startProcess } from '../../fixtures/run-process.ts';
import { until } from '../../fixtures/until.ts';

/** Whether `from` can connect to `to`, where a host listens. */
function reaches(lab: NetLab, from: string, to: string): boolean {
  const dial = `require('net').connect(7000, '${lab.address(to)}')`;
  const script = `${dial}.on('connect', () => process.exit(0)).on('error', () => process.exit(1)); setTimeout(() => process.exit(1), 400)`;
  const [program = '', ...args] = lab.prefix(from);
  return spawnSync(program, [...args, process.execPath, '-e', script], { timeout: 10_000 }).status === 0;
}

describe.runIf(needs('netns'))('hosts in network namespaces', () => {
  test('reach each other until they are parted, in one direction or both, and again when healed', async () => {
    await using lab = startNetLab(['a', 'b', 'c']);
    const listen = `require('net').createServer((socket) => socket.end()).listen(7000, () => console.log('{"ready":true}'))`;
    await using b = startProcess([...lab.prefix('b'), process.execPath, '-e', listen]);
    await b.ready();
    expect([reaches(lab, 'a', 'b'), reaches(lab, 'c', 'b')]).toEqual([true, true]);
    lab.partition('a', 'b');
    expect([reaches(lab, 'a', 'b'), reaches(lab, 'c', 'b')]).toEqual([false, true]);
    lab.heal();
    lab.partitionOneWay('b', 'c');
    expect([reaches(lab, 'a', 'b'), reaches(lab, 'c', 'b')]).toEqual([true, false]);
    lab.heal();
    lab.isolate('b');
    expect([reaches(lab, 'a', 'b'), reaches(lab, 'c', 'b')]).toEqual([false, false]);
    lab.heal();
    await until('the link is up again', () => reaches(lab, 'a', 'b'));
    lab.loss('a', 99);
    await until('most of it is lost', () => !reaches(lab, 'a', 'b'));
  });
});

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { tempDir } from '../test/fixtures/temp-dir.ts';
import { detectHost } from './host.ts';

/** A /proc and a /sys of our own. */
async function fakeHost(cgroup: string, files: Readonly<Record<string, string>>) {
  const dir = await tempDir();
  const write = (name: string, text: string) => {
    const at = path.join(dir.path, name);
    fs.mkdirSync(path.dirname(at), { recursive: true });
    fs.writeFileSync(at, text);
  };
  write('proc/self/cgroup', cgroup);
  for (const [name, text] of Object.entries(files)) write(`sys/fs/cgroup/${name}`, text);
  return {
    detect: () => detectHost(path.join(dir.path, 'proc'), path.join(dir.path, 'sys')),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

const wholeHost = { cpuMillis: os.availableParallelism() * 1000, memoryBytes: os.totalmem() };

describe('what the host offers', () => {
  test('is all of it where nothing limits this process', async () => {
    await using host = await fakeHost('0::/user/one\n', { 'user/one/cpu.max': 'max 100000\n', 'user/one/memory.max': 'max\n' });
    expect(host.detect()).toMatchObject(wholeHost);
    await using none = await fakeHost('', {});
    expect(none.detect()).toMatchObject(wholeHost);
  });

  test('is the tightest limit on the way up, with version 2', async () => {
    await using host = await fakeHost('0::/a/b\n', {
      'a/cpu.max': '50000 100000\n',
      'a/memory.max': '1000000\n',
      'a/b/cpu.max': '80000 100000\n',
      'a/b/memory.max': '2000000\n',
    });
    expect(host.detect()).toMatchObject({ cpuMillis: 500, memoryBytes: 1_000_000 });
  });

  test('is found with version 1, also where a container sees only its own part', async () => {
    await using host = await fakeHost('5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n', {
      'memory/memory.limit_in_bytes': '3000000\n',
      'cpu/cpu.cfs_quota_us': '25000\n',
      'cpu/cpu.cfs_period_us': '100000\n',
    });
    expect(host.detect()).toMatchObject({ cpuMillis: 250, memoryBytes: 3_000_000 });
    await using unlimited = await fakeHost('4:cpu,cpuacct:/\n', { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' });
    expect(unlimited.detect()).toMatchObject(wholeHost);
  });

  test('has labels as Kubernetes spells them', () => {
    expect(detectHost().labels['os']).toBe('linux');
    expect(detectHost().labels['arch']).toMatch(/^(amd64|arm64)$/);
  });
});

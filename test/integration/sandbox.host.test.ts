import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listProcesses, sendSignal } from '../../agent/spawn/processes.ts';
import { openSandbox } from '../../agent/sandbox/open.ts';
import { StopRequest, type Sandbox, type SandboxExit, type SandboxRun } from '../../agent/sandbox/sandbox.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { NO_RESOURCES } from '../../base/resources.ts';
import { needs } from '../fixtures/host.ts';
import { ROOT } from '../fixtures/root.ts';
import { until } from '../fixtures/until.ts';

/** An attempt's input root and log, and a short way to run things in it. */
type Bench = {
  readonly dir: string;
  readonly root: string;
  readonly sandbox: Sandbox;
  readonly log: () => Buffer;
  readonly run: (command: readonly string[], change?: Partial<SandboxRun>, signal?: AbortSignal) => Promise<SandboxExit>;
  readonly sh: (script: string, change?: Partial<SandboxRun>, signal?: AbortSignal) => Promise<SandboxExit>;
};

const never = new AbortController().signal;

async function openBench(kind: 'bubblewrap' | 'process'): Promise<Bench & AsyncDisposable> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'switchyard-sandbox-'));
  const env = { log: memoryLogger(), clock: systemClock };
  const sandbox = await openSandbox(kind, { dir: path.join(dir, 'sandbox'), readOnlyPaths: [], hostPath: process.env['PATH'] ?? '' }, env);
  const root = path.join(dir, 'root');
  fs.mkdirSync(root);
  const logPath = path.join(dir, 'log');
  const run: Bench['run'] = async (command, change = {}, signal = never) => {
    fs.writeFileSync(logPath, '');
    const logFd = fs.openSync(logPath, 'a');
    const spec = { command, env: {}, root, workingDirectory: '', network: false, resources: NO_RESOURCES, binds: [] };
    try {
      return await sandbox.run({ ...spec, logFd, runTimeoutMs: 60_000, graceMs: 500, ...change }, signal);
    } finally {
      fs.closeSync(logFd);
    }
  };
  return {
    dir,
    root,
    sandbox,
    run,
    log: () => fs.readFileSync(logPath),
    sh: (script, change, signal) => run(['sh', '-c', script], change, signal),
    async [Symbol.asyncDispose]() {
      await sandbox[Symbol.asyncDispose]();
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Host processes that run `sleep` for that many seconds, which no other test does. */
function sleepers(seconds: string): readonly number[] {
  return listProcesses()
    .filter((process) => !process.zombie)
    .map((process) => process.pid)
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `sleep\0${seconds}\0`;
      } catch {
        return false;
      }
    });
}

/** A number of seconds that is unlikely to be slept for by anybody else. */
let slept = 100_000 + process.pid;
function uniqueSleep(): string {
  slept += 1_000_000;
  return String(slept);
}

const KINDS = [
  ['bubblewrap', needs('bubblewrap')],
  ['process', true],
] as const;

for (const [kind, can] of KINDS) {
  describe.runIf(can)(`the ${kind} sandbox`, () => {
    let bench: Bench & AsyncDisposable;
    beforeAll(async () => {
      bench = await openBench(kind);
    });
    afterAll(async () => {
      await bench[Symbol.asyncDispose]();
    });
    /** What the run printed, as text. */
    const said = () => bench.log().toString();

    test('tells exit codes and signals apart, and a missing program is code 127', async () => {
      expect(await bench.sh('exit 0')).toMatchObject({ kind: 'exited', code: 0, signal: undefined, oom: false });
      expect(await bench.sh('exit 3')).toMatchObject({ kind: 'exited', code: 3, signal: undefined });
      expect(await bench.sh('kill -SEGV $$')).toMatchObject({ kind: 'exited', code: 139, signal: 'SIGSEGV' });
      expect(await bench.run(['no-such-program-at-all'])).toMatchObject({ kind: 'exited', code: 127 });
      expect(said()).toContain('no-such-program-at-all');
    });

    test('passes every argument and variable on unchanged', async () => {
      const words = ['', ' a  b ', "it's", '"$HOME" `id` \\', 'line\nline', 'łódź \u0081 😀', '-n', '*', '$(id)', "'\n'"];
      const env = { PLAIN: "a'b\nc", 'odd.name-1': 'x y' };
      const script = 'for word; do printf "<%s>" "$word"; done; printf "[%s]" "$PLAIN"';
      await bench.run(['sh', '-c', script, 'sh', ...words], { env });
      expect(said()).toBe(`${words.map((word) => `<${word}>`).join('')}[a'b\nc]`);
      await bench.run(['env', '-0'], { env });
      expect(said().split('\0')).toContain('odd.name-1=x y');
    });

    test('gives a step exactly its own variables and a few documented ones', async () => {
      await bench.run(['env', '-0'], { env: { DECLARED: 'yes', LANG: 'C' } });
      const names = said()
        .split('\0')
        .map((line) => line.split('=')[0]);
      expect(new Set(names.filter((name) => name !== 'PWD' && name !== ''))).toEqual(
        new Set(['DECLARED', 'HOME', 'LANG', 'PATH', 'TMPDIR']),
      );
      expect(said()).toContain('LANG=C\0');
    });

    test('gives a step no descriptors but the standard ones, and an empty input', async () => {
      await bench.sh('cat; for fd in /proc/self/fd/*; do echo "${fd##*/}:$(readlink "$fd")"; done');
      const open = said()
        .trim()
        .split('\n')
        .filter((line) => !line.endsWith(':'));
      // The null device takes the place of what this process itself got from its parent by mistake.
      const own = open.filter((line) => !/^[0-9]+:(\/dev\/null|\/proc\/[0-9]+\/fd)$/.test(line) || line.startsWith('0:'));
      expect(own.map((line) => line.split(':')[0])).toEqual(['0', '1', '2']);
      expect(said()).toContain('0:/dev/null');
    });

    test('leaves signals as a program expects them', async () => {
      await bench.sh('grep SigIgn /proc/self/status');
      expect(said()).toMatch(/SigIgn:\s*0+\n/);
    });

    test('keeps a log of arbitrary bytes, both streams in order', async () => {
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      fs.writeFileSync(path.join(bench.root, 'bytes'), every);
      await bench.sh('cat bytes; echo error >&2; echo out');
      expect(bench.log()).toEqual(Buffer.concat([every, Buffer.from('error\nout\n')]));
    });

    test('runs in the working directory, with the inputs writable', async () => {
      fs.mkdirSync(path.join(bench.root, 'deep/er'), { recursive: true });
      expect(await bench.sh('basename "$PWD" && echo new >made', { workingDirectory: 'deep/er' })).toMatchObject({ code: 0 });
      expect(said()).toBe('er\n');
      expect(fs.readFileSync(path.join(bench.root, 'deep/er/made'), 'utf8')).toBe('new\n');
    });

    test('refuses working directories that are missing or outside, and commands that no kernel takes', async () => {
      fs.symlinkSync('/etc', path.join(bench.root, 'outside'));
      await expect(bench.sh('true', { workingDirectory: 'missing' })).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        field: 'workingDirectory',
      });
      await expect(bench.sh('true', { workingDirectory: 'outside' })).rejects.toMatchObject({ code: 'PATH_ESCAPES' });
      await expect(bench.run([])).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'command' });
      await expect(bench.run(['echo', 'a\0b'])).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'command[1]' });
      await expect(bench.run(['sh', '-c', ':'.repeat(5_000_000)])).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'command[2]' });
    });

    test('ends a step at its time limit with TERM, which it may use to tidy up', async () => {
      const exit = await bench.sh('trap "echo tidied; exit 0" TERM; sleep 60 & wait', { runTimeoutMs: 300, graceMs: 20_000 });
      expect(exit.kind).toBe('timed-out');
      expect(said()).toContain('tidied');
    });

    test('kills a step that ignores TERM, with everything that it started', async () => {
      const seconds = uniqueSleep();
      const script = `trap "" TERM; setsid sleep ${seconds} & setsid sh -c 'setsid sleep ${seconds} & sleep ${seconds}' & sleep ${seconds}`;
      const running = bench.sh(script, { runTimeoutMs: 400, graceMs: 100 });
      await until('all sleep', () => sleepers(seconds).length === 4);
      expect((await running).kind).toBe('timed-out');
      expect(sleepers(seconds)).toEqual([]);
      expect(said()).toBe('');
    });

    test('a cancelled step ends as cancelled, with the grace time of the one who cancels', async () => {
      const seconds = uniqueSleep();
      const cancel = new AbortController();
      const running = bench.sh(`trap "" TERM; sleep ${seconds}`, { graceMs: 600_000 }, cancel.signal);
      await until('it sleeps', () => sleepers(seconds).length === 1);
      cancel.abort(new StopRequest('now', 0));
      expect((await running).kind).toBe('cancelled');
      expect(sleepers(seconds)).toEqual([]);
      expect(await bench.sh('true', {}, AbortSignal.abort())).toMatchObject({ kind: 'cancelled' });
    });

    test('a step that is cancelled while it is being started does not go on', async () => {
      const seconds = uniqueSleep();
      const cancel = new AbortController();
      const running = bench.sh(`sleep ${seconds}`, { graceMs: 600_000 }, cancel.signal);
      cancel.abort(new StopRequest('now', 0));
      expect((await running).kind).toBe('cancelled');
      expect(sleepers(seconds)).toEqual([]);
    });

    test('nothing of a step outlives its end', async () => {
      const seconds = uniqueSleep();
      const script = `setsid sh -c 'setsid sleep ${seconds} & sleep ${seconds}' >/dev/null 2>&1 & while ! test -e started; do :; done`;
      const running = bench.sh(script);
      await until('both sleep', () => sleepers(seconds).length === 2);
      fs.writeFileSync(path.join(bench.root, 'started'), '');
      expect(await running).toMatchObject({ kind: 'exited', code: 0 });
      expect(sleepers(seconds)).toEqual([]);
    });

    test('counts CPU time and, where it can, memory', async () => {
      const exit = await bench.sh('i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done');
      expect(exit.cpuMs).toBeGreaterThan(20);
      if (bench.sandbox.traits.includes('limitsMemory')) expect(exit.peakMemoryBytes).toBeGreaterThan(100_000);
    });

    test('a hundred steps at once all end well, each with its own result', async () => {
      const exits = await Promise.all(Array.from({ length: 100 }, (_, index) => bench.sh(`exit ${index % 50}`)));
      expect(exits.map((exit) => (exit.kind === 'exited' ? exit.code : -1))).toEqual(Array.from({ length: 100 }, (_, index) => index % 50));
    });

    test('a step whose starter is killed is an error of the sandbox, and the next one runs', async () => {
      const seconds = uniqueSleep();
      const running = bench.sh(`sleep ${seconds}`);
      running.catch(() => {}); // asserted below
      await until('it sleeps', () => sleepers(seconds).length === 1);
      // The launchers are the direct children of this process that have a child in turn.
      const processes = listProcesses();
      const parents = new Set(processes.map((info) => info.parent));
      const launcher = processes.find((info) => info.parent === process.pid && parents.has(info.pid) && isShellLoop(info.pid));
      sendSignal(launcher?.pid ?? 0, 'SIGKILL');
      await expect(running).rejects.toMatchObject({ code: 'SANDBOX_UNAVAILABLE' });
      await until('nobody sleeps', () => sleepers(seconds).length === 0);
      expect(await bench.sh('exit 4')).toMatchObject({ kind: 'exited', code: 4 });
    });

    test('leaves nothing on disk but what the step made in its inputs', async () => {
      const before = fs.readdirSync(path.join(bench.dir, 'sandbox', kind)).toSorted();
      await bench.sh('echo x >"$HOME/x"; mkdir -m 0 "$HOME/locked" "$HOME/locked2"; echo y >"$TMPDIR/y"');
      expect(fs.readdirSync(path.join(bench.dir, 'sandbox', kind)).toSorted()).toEqual(before);
      await bench.sh('ls -A "$HOME" "$TMPDIR"; test -z "$(ls -A "$HOME")"');
      expect(said()).not.toMatch(/^[xy]$/m);
    });

    test('a step without network sees no interface but the loopback, which works', async (context) => {
      if (!bench.sandbox.traits.includes('isolatesNetwork')) return context.skip(bench.sandbox.missing.join(' '));
      await bench.sh('tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "');
      expect(said()).toBe('lo\n');
      const client =
        'const at="127.0.0.1",s=net.createServer(c=>c.end("hi")).listen(0,at,' +
        '()=>net.connect(s.address().port,at).on("data",d=>{console.log(String(d));s.close()}))';
      fs.copyFileSync(process.execPath, path.join(bench.root, 'node'));
      fs.chmodSync(path.join(bench.root, 'node'), 0o755);
      await bench.run(['./node', '-e', client]);
      expect(said()).toBe('hi\n');
    });

    test('a step that takes more memory than it asked for is killed, and it shows', async (context) => {
      if (!bench.sandbox.traits.includes('limitsMemory')) return context.skip(bench.sandbox.missing.join(' '));
      const resources = { ...NO_RESOURCES, memoryBytes: 64 * 1024 * 1024 };
      const exit = await bench.sh('x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done', { resources });
      expect(exit).toMatchObject({ kind: 'exited', oom: true });
      expect(exit.kind === 'exited' && exit.code).not.toBe(0);
      expect(await bench.sh('true', { resources })).toMatchObject({ kind: 'exited', code: 0, oom: false });
    });

    test('a step that forks without end runs into a limit, not the host', async (context) => {
      if (!bench.sandbox.traits.includes('limitsPids')) return context.skip(bench.sandbox.missing.join(' '));
      const seconds = uniqueSleep();
      await bench.sh(`i=0; while [ $i -lt 5000 ]; do sleep ${seconds} & i=$((i+1)); done; exit 0`, { runTimeoutMs: 120_000 });
      expect(said()).toMatch(/fork/i);
      expect(sleepers(seconds)).toEqual([]);
    }, 180_000);

    test('traits and what is missing complete each other', () => {
      for (const trait of ['isolatesFiles', 'isolatesNetwork', 'isolatesProcesses', 'limitsMemory', 'limitsPids'] as const) {
        const told = bench.sandbox.missing.some((sentence) => sentence.startsWith(`${trait}:`));
        expect([trait, bench.sandbox.traits.includes(trait)]).toEqual([trait, !told]);
      }
    });
  });
}

function isShellLoop(pid: number): boolean {
  return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('while IFS= read -r file');
}

describe.runIf(needs('bubblewrap'))('only the bubblewrap sandbox', () => {
  let bench: Bench & AsyncDisposable;
  beforeAll(async () => {
    bench = await openBench('bubblewrap');
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });
  const said = () => bench.log().toString();

  test('shows a step nothing of the host but the documented base system', async () => {
    const secret = path.join(bench.dir, 'secret');
    fs.writeFileSync(secret, 'hidden', { mode: 0o644 });
    await bench.sh(
      `cat ${secret}; ls /root /work /var/lib /etc/shadow /etc/machine-id /sys /run; cat ${ROOT}/package.json; ls -A /home /tmp`,
    );
    expect(said()).not.toContain('hidden');
    expect(said()).not.toContain('switchyard"');
    expect(said().match(/No such file/g)?.length).toBeGreaterThanOrEqual(8);
    await bench.sh('ls -A /');
    expect(
      said()
        .trim()
        .split('\n')
        .filter((name) => !/^(s?bin|lib.*|usr)$/.test(name)),
    ).toEqual(['build', 'dev', 'etc', 'home', 'proc', 'tmp', 'var']);
  });

  test('runs a step at a fixed place as an ordinary user without capabilities, on a host of its own', async () => {
    await bench.sh('pwd; id -u; uname -n; grep CapEff /proc/self/status; ls -d /proc/[0-9]* | wc -l; echo $HOME $TMPDIR');
    expect(said()).toMatch(/^\/build\n1000\nstep\nCapEff:\s0+\n[2-6]\n\/home\/step \/tmp\n$/);
  });

  test('lets a step write its inputs, its home and /tmp, and nothing else', async () => {
    await bench.sh(
      'for at in /build $HOME /tmp /dev/shm /usr /etc / /var /home /build/../x /etc/passwd; do ' +
        'echo 2>/dev/null >$at/probe && echo $at; done',
    );
    expect(said()).toBe('/build\n/home/step\n/tmp\n/dev/shm\n');
    await bench.sh('ls /tmp /home/step');
    expect(said()).not.toContain('probe');
  });

  test('lets no step write the kernel settings of the host, whoever the agent is', async () => {
    const find = 'find /proc -type f -perm -u+w -not -path "/proc/[0-9]*"';
    await bench.sh(`${find} 2>/dev/null | while read -r file; do if [ -w "$file" ] && [ -O "$file" ]; then echo "$file"; fi; done`);
    const writable = said().split('\n').filter(Boolean);
    if (process.getuid?.() === 0) expect(writable).toEqual([]);
    // Those of the step's own namespaces are its own: the host's stay as they are.
    const read = () => writable.map((file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''));
    const before = read();
    await bench.sh(`for file in ${writable.join(' ')}; do echo 4096 >"$file"; done 2>/dev/null; echo done`);
    expect(said()).toContain('done');
    expect(read()).toEqual(before);
    await bench.sh('read -r now </proc/sys/fs/pipe-user-pages-soft; echo "$now" >/proc/sys/fs/pipe-user-pages-soft && echo written');
    expect(said()).not.toContain('written');
  });

  test('has network and names only for a step that asked for it', async () => {
    await bench.sh('ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | wc -l; test -e /etc/resolv.conf && echo resolver', {
      network: true,
    });
    const host = fs.readFileSync('/proc/net/dev', 'utf8').trim().split('\n').length - 2;
    expect(said().startsWith(`${host}\n`)).toBe(true);
    if (fs.existsSync('/etc/resolv.conf')) expect(said()).toContain('resolver');
  });

  test('bound directories can be changed by the step without being changed, and what it did is found in its root', async (context) => {
    const { overlays } = bench.sandbox;
    if (overlays === undefined) return context.skip('overlays do not work here');
    const from = path.join(bench.dir, 'bound/a/b');
    fs.mkdirSync(path.join(from, 'sub'), { recursive: true });
    for (const name of ['kept', 'changed', 'removed', 'sub/inner']) fs.writeFileSync(path.join(from, name), name);
    const root = path.join(bench.dir, 'overlaid');
    fs.mkdirSync(path.join(root, 'a/b'), { recursive: true });
    const other = path.join(bench.dir, 'other/dist');
    fs.mkdirSync(other, { recursive: true });
    fs.writeFileSync(path.join(other, 'old'), 'old');
    const binds = [
      { from, to: 'a/b' },
      { from: other, to: 'dist' },
    ];
    const script =
      'cd a/b && cat kept sub/inner && echo x >changed && rm removed && rm -r sub && mkdir sub && ' +
      'echo n >sub/new && mv kept moved && ls -R && rm -r /build/dist && mkdir /build/dist && echo d >/build/dist/new';
    expect(await bench.sh(script, { binds, root })).toMatchObject({ code: 0 });
    expect(said()).toBe('keptsub/inner.:\nchanged\nmoved\nsub\n\n./sub:\nnew\n');
    expect(new Set(fs.readdirSync(from, { recursive: true, encoding: 'utf8' }).map(String))).toEqual(
      new Set(['changed', 'kept', 'removed', 'sub', 'sub/inner']),
    );
    expect(fs.readFileSync(path.join(from, 'changed'), 'utf8')).toBe('changed');
    expect(fs.readFileSync(path.join(root, 'a/b/changed'), 'utf8')).toBe('x\n');
    expect(fs.readFileSync(path.join(root, 'dist/new'), 'utf8')).toBe('d\n');
    const asked = ['a/b/moved', 'a/b/kept', 'a/b/removed', 'a/b/sub/new', 'a/b/sub/inner', 'dist/new', 'dist/old', '$(touch x)\n"'];
    expect(await overlays.present(root, binds, asked, never)).toEqual([true, false, false, true, false, true, false, false]);
    expect(await overlays.present(root, binds, [], never)).toEqual([]);
    await bench.sh('cat a/b/changed; ls a/b | wc -l', { binds });
    expect(said()).toBe('changed4\n');
  });

  test('a sandbox that cannot be set up for a step is an error, not an exit code of the step', async () => {
    const binds = [{ from: path.join(bench.dir, 'not/there'), to: 'there' }];
    await expect(bench.sh('true', { binds })).rejects.toMatchObject({ code: 'SANDBOX_UNAVAILABLE' });
  });
});

describe('an agent that dies', () => {
  for (const [kind, can] of KINDS) {
    test.runIf(can)(`by kill -9 takes its ${kind} steps along, daemons included`, async () => {
      const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'switchyard-agent-death-'));
      const seconds = uniqueSleep();
      const agent = spawn(process.execPath, [path.join(ROOT, 'test/fixtures/sandbox-holder.ts'), kind, dir, seconds], {
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      try {
        await until('both sleep', () => sleepers(seconds).length === 2);
        sendSignal(agent.pid ?? 0, 'SIGKILL');
        await until('nobody sleeps', () => sleepers(seconds).length === 0);
        expect(sleepers(seconds)).toEqual([]);
      } finally {
        agent.kill('SIGKILL');
        fs.rmSync(dir, { recursive: true, force: true });
      }
    });
  }
});

test('what the host does not offer is refused with the reason', async () => {
  const env = { log: memoryLogger(), clock: systemClock };
  const options = { dir: fs.mkdtempSync(path.join(os.tmpdir(), 'switchyard-sandbox-')), readOnlyPaths: ['relative'], hostPath: '' };
  try {
    await expect(openSandbox('bubblewrap', options, env)).rejects.toMatchObject({
      code: needs('bubblewrap') ? 'CONFIG_INVALID' : 'SANDBOX_UNAVAILABLE',
    });
  } finally {
    fs.rmSync(options.dir, { recursive: true });
  }
});

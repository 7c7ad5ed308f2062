import fs, { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runSwitchyard, startSwitchyard, type RunningProcess } from '../fixtures/run-process.ts';
import { until } from '../fixtures/until.ts';

const PIPELINE = `version: 1
defaults: { timeout: 1m }
params: { word: { type: string, default: hello } }
steps:
  make: { run: 'mkdir out; cat src/a.txt > out/x; echo \${{ params.word }} >> out/x', inputs: [src], outputs: [out], labels: class=edge }
  use: { run: cat out/x, needs: make, labels: class=central }
  soft: { run: 'echo to the log; exit 3', inputs: [src], critical: false }
`;

let work = '';
let yard: RunningProcess;

async function json(args: readonly string[]) {
  const { stdout, stderr, code } = await runSwitchyard([...args, '-o', 'json'], { cwd: work });
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** The last line of a run's NDJSON. */
function end(stdout: string) {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '{}');
}

beforeAll(async () => {
  work = mkdtempSync(path.join(tmpdir(), 'switchyard-cli-yard-'));
  fs.mkdirSync(path.join(work, 'src'));
  fs.writeFileSync(path.join(work, 'src/a.txt'), 'first\n');
  fs.writeFileSync(path.join(work, 'switchyard.yaml'), PIPELINE);
  yard = startSwitchyard(['up', '-o', 'json'], { cwd: work });
  await yard.ready();
});

afterAll(async () => {
  await yard[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

describe('a pipeline in a yard of real processes', () => {
  test('runs where its labels say, goes on without what is not critical, and is cached the next time', async () => {
    const first = await runSwitchyard(['run', '-o', 'json'], { cwd: work });
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    expect(end(first.stdout)).toMatchObject({ kind: 'summary', verdict: 'succeeded', totals: { steps: 3, succeeded: 2, fromCache: 0 } });
    const { steps, build } = await json(['show', 'latest']);
    const agents = Object.fromEntries(steps.map((step: { name: string; result?: { agent: string } }) => [step.name, step.result?.agent]));
    expect(agents['make']).toMatch(/^edge-/);
    expect(agents['use']).toBe('central-1');
    expect(build.degraded).toHaveLength(1);
    expect((await runSwitchyard(['logs', 'latest', 'use'], { cwd: work })).stdout).toBe('first\nhello\n');

    const second = await runSwitchyard(['run', '-o', 'json'], { cwd: work });
    expect(end(second.stdout)).toMatchObject({ verdict: 'succeeded', totals: { fromCache: 2, sentBytes: 0 } });
    expect((await runSwitchyard(['logs', 'latest', 'use'], { cwd: work })).stdout).toBe('first\nhello\n');

    const third = await runSwitchyard(['run', '-o', 'json', '--param', 'word=bye'], { cwd: work });
    expect(end(third.stdout)).toMatchObject({ verdict: 'succeeded', totals: { fromCache: 0 } });
    expect((await runSwitchyard(['logs', 'latest', 'use'], { cwd: work })).stdout).toBe('first\nbye\n');
  });

  test('an output that was not there is named by show, and one that looks like a pattern before the run', async () => {
    fs.writeFileSync(
      path.join(work, 'patterns.yaml'),
      "version: 1\nsteps: { a: { run: 'touch 01 02', timeout: 1m, cache: false, outputs: ['0*', '01', gone] } }\n",
    );
    const ran = await runSwitchyard(['run', '--file', 'patterns.yaml'], { cwd: work });
    expect(ran.code).toBe(0);
    const { stdout, stderr } = await runSwitchyard(['lint', '--file', 'patterns.yaml'], { cwd: work });
    expect(stdout + stderr).toContain('steps.a.outputs: "0*" looks like a pattern, but outputs are literal paths');
    const shown = (await runSwitchyard(['show', 'latest', 'a'], { cwd: work })).stdout;
    expect(shown).toContain('output     01\n');
    expect(shown).toContain('output     0*: was not there after the run; outputs are literal paths, not patterns\n');
    expect(shown).toContain('output     gone: was not there after the run\n');
    expect((await json(['show', 'latest', 'a'])).step.missingOutputs).toEqual(['0*', 'gone']);
  });

  test("plain lines show the end of a failed step's log, and the summary", async () => {
    const { stdout } = await runSwitchyard(['run'], { cwd: work });
    expect(stdout).toContain('│ to the log');
    expect(stdout).toMatch(/Build b-[0-9a-z]{26} succeeded in [0-9.]+s: 2 of 3 steps succeeded/);
    expect(stdout).not.toContain('\u001b[');
  });

  test('exec runs on the files here, passes the exit code and log through, and brings outputs back', async () => {
    const made = await runSwitchyard(
      ['exec', '--fetch', 'made', '--', 'sh', '-c', 'cat src/a.txt; mkdir made; printf "\\000\\377" > made/b; exit 7'],
      { cwd: work },
    );
    expect(made).toMatchObject({ code: 7, stdout: 'first\n' });
    expect(fs.readFileSync(path.join(work, 'made/b')).toString('latin1')).toBe('\u0000\u00ff');
    const fine = await runSwitchyard(['exec', '--env', 'A=b c', '--fetch', 'made', '--', 'sh', '-c', 'printf "\\000\\377$A" > made/b'], {
      cwd: work,
    });
    expect(fine).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(fs.readFileSync(path.join(work, 'made/b')).toString('latin1')).toBe('\u0000\u00ffb c');
  });

  test('a step that no agent fits says so, and is cancelled by Ctrl-C', async () => {
    await using waiting = startSwitchyard(['exec', '--select', 'class=gone', '--', 'true'], { cwd: work });
    const build = await until('the build is there', async () => (await json(['builds', '--running'])).builds[0]?.id);
    const explained = await until(
      'the step waits',
      async () => {
        const found = await json(['explain', build, 'exec']);
        return found.phase === 'queued' ? found : undefined;
      },
      30_000,
    );
    expect(JSON.stringify(explained)).toContain('class=gone');
    waiting.kill('SIGINT');
    expect((await waiting.ended).code).toBe(130);
    expect((await json(['show', build])).build.verdict).toBe('cancelled');
  });

  test('a command that is killed leaves its build running, and the next run finds it', async () => {
    fs.writeFileSync(path.join(work, 'slow.yaml'), 'version: 1\nsteps: { slow: { run: sleep 4, timeout: 1m, cache: false } }\n');
    const first = startSwitchyard(['run', '-f', 'slow.yaml', '-o', 'json'], { cwd: work });
    const id = await until('it is submitted', () => /"build":"(b-[0-9a-z]+)"/.exec(first.stdout())?.[1]);
    await until('the step runs', async () => ((await json(['show', id])).steps[0].phase === 'running' ? true : undefined));
    first.kill('SIGKILL');
    await first.ended;
    await first[Symbol.asyncDispose]();
    const second = await runSwitchyard(['run', '-f', 'slow.yaml', '-o', 'json'], { cwd: work });
    expect(JSON.parse(second.stdout.split('\n')[0] ?? '')).toEqual({ kind: 'submitted', build: id, existing: true });
    expect(end(second.stdout)).toMatchObject({ build: id, verdict: 'succeeded' });
  });

  test('a follower lives through the death of the coordinator', async () => {
    fs.writeFileSync(
      path.join(work, 'long.yaml'),
      'version: 1\nsteps: { long: { run: "sleep 5; echo survived", timeout: 1m, cache: false, sideEffects: false } }\n',
    );
    await using follower = startSwitchyard(['run', '-f', 'long.yaml', '-o', 'json'], { cwd: work });
    const id = await until('it is submitted', () => /"build":"(b-[0-9a-z]+)"/.exec(follower.stdout())?.[1]);
    await until('the step runs', async () => (await json(['show', id])).steps[0].startedAtMs !== undefined);
    const pid = coordinatorPid();
    process.kill(pid, 'SIGKILL');
    expect((await follower.ended).code).toBe(0);
    expect(end(follower.stdout())).toMatchObject({ verdict: 'succeeded' });
    expect(coordinatorPid()).not.toBe(pid);
    expect((await runSwitchyard(['logs', 'latest', 'long'], { cwd: work })).stdout).toBe('survived\n');
  });

  test('agents can be listed, paused and let back', async () => {
    await until(
      'all agents are connected',
      async () =>
        (await json(['agents'])).agents.filter((agent: { connected: boolean }) => agent.connected).length === 3 ? true : undefined,
      60_000,
    );
    await json(['pause', 'edge-1', '--reason', 'disk', '--for', '5m']);
    expect((await json(['agents'])).holds).toMatchObject([{ target: 'agent:edge-1', kind: 'pause', reason: 'disk' }]);
    await json(['resume', 'edge-1']);
    expect((await json(['agents'])).holds).toEqual([]);
  });

  test('doctor finds the server, the token, the leader and the data plane', async () => {
    const { stdout } = await runSwitchyard(['doctor', '-o', 'json'], { cwd: work });
    const { findings } = JSON.parse(stdout) as { findings: readonly { check: string; result: string }[] };
    const results = Object.fromEntries(findings.map(({ check, result }) => [check, result]));
    expect(results).toMatchObject({ node: 'ok', server: 'ok', token: 'ok', clock: 'ok', leader: 'ok', 'data plane': 'ok' });
  });

  test('a second yard in the same directory is refused, and a run with --embedded joins the first', async () => {
    const { code, stderr } = await runSwitchyard(['up'], { cwd: work });
    expect(stderr).toContain('A yard runs here already');
    expect(code).toBe(2);
    const { stdout } = await runSwitchyard(['run', '--embedded', '-o', 'json'], { cwd: work });
    expect(end(stdout)).toMatchObject({ verdict: 'succeeded' });
    expect((await json(['agents'])).agents.length).toBe(3);
  });

  test('who has no token gets in by no way', async () => {
    const address = JSON.parse(fs.readFileSync(path.join(work, '.switchyard/yard.json'), 'utf8')).address;
    const { code, stderr } = await runSwitchyard(['builds', '--server', address], { cwd: tmpdir() });
    expect(stderr).toContain('No credential');
    expect(code).toBe(1);
  });

  test('SIGTERM stops the yard in good order, and nobody is led to it any more', async () => {
    yard.kill('SIGTERM');
    expect(await yard.ended).toEqual({ code: 0, signal: null });
    expect(fs.existsSync(path.join(work, '.switchyard/yard.json'))).toBe(false);
    expect((await runSwitchyard(['builds'], { cwd: work })).code).toBe(3);
  });
});

/** The yard's coordinator, found by who started it. */
function coordinatorPid(): number {
  for (const name of fs.readdirSync('/proc').filter((entry) => /^[0-9]+$/.test(entry))) {
    try {
      const parent = /^PPid:\s*([0-9]+)$/m.exec(fs.readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      const line = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8');
      if (Number(parent) === yard.pid && line.includes('coordinator/main.')) return Number(name);
    } catch {
      // it has ended meanwhile
    }
  }
  return 0;
}

import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import { memoryStore } from '../../cache/memory.ts';
import { digestOf } from '../../cache/digest.ts';
import type { TreeEntry } from '../../cache/tree/build.ts';
import { treeOfEntries } from '../../cache/tree/scan.ts';
import { uploadTree } from '../../cache/tree/upload.ts';
import { digestToProto, optionalDigestFromProto } from '../../proto/convert.ts';
import { openLogPipes } from '../../agent/attempt/log-pipe.ts';
import { sessionDialler } from '../../agent/rpc/session-client.ts';
import { startRunner } from '../../agent/runner.ts';
import { openSandbox } from '../../agent/sandbox/open.ts';
import { startSession, type Session } from '../../agent/session/session.ts';
import { CUT_MARK } from '../../agent/spool/attempt-log.ts';
import { openSpool } from '../../agent/spool/spool.ts';
import { openTier } from '../../agent/tier/tier.ts';
import { openWorkspaces } from '../../agent/workspace/workspace.ts';
import { scriptedCoordinator, offerOf, type ScriptedCoordinator } from '../fixtures/scripted-coordinator.ts';
import { needs } from '../fixtures/host.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';

const never = new AbortController().signal;

type Yard = AsyncDisposable & {
  readonly coordinator: ScriptedCoordinator;
  readonly session: Session;
  readonly store: BlobStore;
  readonly troubles: unknown[];
  readonly dir: string;
};

/** A scripted coordinator and a real agent: stream, spool, sandbox, workspaces; only the store is in memory. */
async function yard(
  changes: {
    readonly storeOf?: (instanceName: string) => BlobStore;
    readonly store?: BlobStore;
    readonly dir?: string;
    readonly slots?: number;
  } = {},
): Promise<Yard> {
  await using stack = new AsyncDisposableStack();
  const env: Env = { log: memoryLogger(), clock: systemClock };
  const dir = changes.dir ?? stack.use(await tempDir()).path;
  const coordinator = stack.use(await scriptedCoordinator(env));
  const store = changes.store ?? memoryStore();
  const spool = stack.use(openSpool({ dir: join(dir, 'spool'), bytesMax: 100_000_000, env }));
  const sandbox = stack.use(await openSandbox('process', { dir: join(dir, 'sandbox'), readOnlyPaths: [], hostPath: '/usr/bin:/bin' }, env));
  const tier = stack.use(openTier({ dir: join(dir, 'tier'), maxBytes: 1e9, guarded: true, env }));
  const workspaces = await openWorkspaces({ dir: join(dir, 'workspaces'), tier, overlays: sandbox.overlays, env });
  const troubles: unknown[] = [];
  const executor = stack.use(
    startRunner({
      agent: 'edge-1',
      sandbox,
      workspaces,
      pipes: openLogPipes(join(dir, 'pipes')),
      passable: { FROM_AGENT: 'passed' },
      spool,
      store: (instanceName) => changes.storeOf?.(instanceName) ?? store,
      onTrouble: (error) => troubles.push(error),
      env,
    }),
  );
  const readLog = (token: string, offset: number, length: number) => spool.readLog(token, offset, length);
  const dialler = sessionDialler({ link: { address: coordinator.address, token: undefined }, readLog, env });
  const profile = {
    agentId: 'edge-1',
    bootId: 'boot',
    labels: { class: 'edge' },
    capacity: { cpuMillis: 2000, memoryBytes: 1e9, slots: changes.slots ?? 2, custom: {} },
    sandbox: sandbox.traits,
    version: '1',
    drainTimeoutMs: 60_000,
  };
  const session = stack.use(startSession({ profile, prng: prngFrom(7), dialler, spool, executor, env }));
  const parts = stack.move();
  return { coordinator, session, store, troubles, dir, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function tree(store: BlobStore, entries: readonly TreeEntry[]) {
  const built = treeOfEntries(entries);
  await uploadTree(built, store, never);
  return digestToProto(built.root);
}

describe('a step', () => {
  test('whose streams are asked for apart has them as blobs of their own, beside the log with both', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    const resultOf = async (token: string, script: string) => {
      stream.send(offerOf(token, ['sh', '-c', script], { inputRoot, streamsApart: true }));
      const { report } = await stream.heard('finished', (message) => message.token === token);
      const { log, stdout, stderr } = report?.result ?? {};
      const blobs = [log, stdout, stderr].map((blob) => optionalDigestFromProto(blob, 'blob'));
      expect(
        await at.store.findMissing(
          blobs.filter((blob) => blob !== undefined),
          never,
        ),
      ).toEqual([]);
      return blobs;
    };
    const text = (words: string) => digestOf(Buffer.from(words));
    // Reading waits for what was written before it: the log's order is the command's.
    const [log, ...parts] = await resultOf('a1.1', 'echo one; sleep 0.3; echo two >&2; sleep 0.3; printf three');
    expect(parts).toEqual([text('one\nthree'), text('two\n')]);
    expect(log).toEqual(text('one\ntwo\nthree'));
    expect(await resultOf('a2.1', 'echo out')).toEqual([text('out\n'), undefined, undefined]);
    expect(await resultOf('a3.1', 'echo err >&2; exit 3')).toEqual([text('err\n'), undefined, text('err\n')]);
    expect(await resultOf('a4.1', ':')).toEqual([undefined, undefined, undefined]);
  });

  test('runs on its inputs, and its log, outputs and usage come back', async () => {
    await using at = await yard();
    const bytes = Buffer.from('input\n');
    await at.store.put(digestOf(bytes), bytes, never);
    const inputRoot = await tree(at.store, [{ kind: 'file', path: 'dir/in.txt', digest: digestOf(bytes), executable: false }]);
    const stream = await at.coordinator.stream(1);
    const command = ['sh', '-c', 'cat in.txt; echo "$GREETING $FROM_AGENT" >&2; mkdir out; echo made >out/file'];
    stream.send(
      offerOf('a1.1', command, {
        inputRoot,
        workingDirectory: 'dir',
        outputs: ['out'],
        env: { GREETING: 'hello' },
        passEnv: ['FROM_AGENT', 'SWITCHYARD_AGENT_TOKEN'],
      }),
    );
    const { report } = await stream.heard('finished');
    const log = 'input\nhello passed\n';
    expect(report?.failureClass).toBe('FAILURE_CLASS_UNSPECIFIED');
    expect(report?.result).toMatchObject({
      exitCode: 0,
      agent: 'edge-1',
      log: digestToProto(digestOf(Buffer.from(log))),
      logTruncated: false,
    });
    expect(report?.result?.outputs).toMatchObject([{ path: 'out', directory: { bytes: '5' } }]);
    expect(Number(report?.result?.usage?.bytesIn)).toBeGreaterThanOrEqual(6);
    expect(Number(report?.result?.usage?.bytesOut)).toBeGreaterThan(0);
    expect(at.coordinator.logs.get('a1.1')?.toString()).toBe(log);
    expect(await at.store.findMissing([digestOf(Buffer.from(log))], never)).toEqual([]);
    expect(stream.received.map((message) => message.kind).filter((kind) => kind !== 'heartbeat' && kind !== 'log')).toEqual([
      'register',
      'accept',
      'running',
      'finished',
    ]);
  });

  test.for([
    { name: 'a code', script: 'exit 7', exitCode: 7, failureClass: 'FAILURE_CLASS_EXIT', message: 'ended with code 7' },
    { name: 'a signal', script: 'kill -KILL $$', exitCode: 137, failureClass: 'FAILURE_CLASS_EXIT', message: 'SIGKILL' },
  ])('that ends with $name fails, with its log and outputs', async ({ script, exitCode, failureClass, message }) => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sh', '-c', `echo log; echo kept >out; ${script}`], { inputRoot, outputs: ['out'] }));
    const { report } = await stream.heard('finished');
    expect(report).toMatchObject({ failureClass, result: { exitCode, outputs: [{ path: 'out' }] } });
    expect(at.coordinator.logs.get('a1.1')?.toString()).toMatch(/^log\n/);
    expect(report?.message).toContain(message);
  });

  test('that runs too long is stopped with all its processes', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sh', '-c', 'echo started; sleep 1000 & sleep 1000'], { inputRoot, runTimeoutMs: '300', graceMs: '100' }));
    const { report } = await stream.heard('finished');
    expect(report).toMatchObject({ failureClass: 'FAILURE_CLASS_TIMEOUT', result: { exitCode: 124 } });
    expect(at.coordinator.logs.get('a1.1')?.toString()).toMatch(/^started\n/);
  });

  test('that is cancelled is stopped and says so', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sleep', '1000'], { inputRoot }));
    await stream.heard('running');
    stream.send({ cancel: { token: 'a1.1', reason: 'asked to', graceMs: '500' } });
    const { report } = await stream.heard('finished');
    expect(report).toMatchObject({ failureClass: 'FAILURE_CLASS_CANCELLED', message: 'asked to', result: null });
  });

  test('whose inputs are gone is an error of the cache', async () => {
    await using at = await yard();
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['true'], { inputRoot: digestToProto(digestOf(Buffer.from('nowhere'))) }));
    const { report } = await stream.heard('finished');
    expect(report?.failureClass).toBe('FAILURE_CLASS_CACHE_ERROR');
    expect(at.troubles).toHaveLength(1);
  });

  test('gets no bytes that an earlier step of another project brought to the agent', async () => {
    const stores = { a: memoryStore(), b: memoryStore() };
    await using at = await yard({ storeOf: (instanceName) => (instanceName === 'a/main' ? stores.a : stores.b) });
    const secret = Buffer.from('of project a');
    await stores.a.put(digestOf(secret), secret, never);
    const stream = await at.coordinator.stream(1);
    const classes: unknown[] = [];
    for (const project of ['a', 'b'] as const) {
      const token = `${project}.1`;
      const inputRoot = await tree(stores[project], [{ kind: 'file', path: 'in', digest: digestOf(secret), executable: false }]);
      stream.send(offerOf(token, ['cat', 'in'], { inputRoot, instanceName: `${project}/main` }));
      classes.push((await stream.heard('finished', (message) => message.token === token)).report?.failureClass);
    }
    expect(classes).toEqual(['FAILURE_CLASS_UNSPECIFIED', 'FAILURE_CLASS_CACHE_ERROR']);
  });

  test('with an output that leads out of the tree fails for it', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['ln', '-s', '/etc/passwd', 'out'], { inputRoot, outputs: ['out'] }));
    const { report } = await stream.heard('finished');
    expect(report?.failureClass).toBe('FAILURE_CLASS_OUTPUT');
    expect(report?.message).toContain('"out"');
  });

  test('whose outputs cannot be stored is an error of the cache', async () => {
    await using at = await yard({ store: memoryStore({ limitBytes: 20_000 }) });
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sh', '-c', 'head -c 100000 /dev/urandom >out'], { inputRoot, outputs: ['out'] }));
    const { report } = await stream.heard('finished');
    expect(report?.failureClass).toBe('FAILURE_CLASS_CACHE_ERROR');
  });

  test('with a log beyond its limit runs to its end, and the log is cut with a mark', async () => {
    await using at = await yard();
    at.coordinator.manners.registered = { logBytesMax: '100000' };
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sh', '-c', 'head -c 50000000 /dev/zero; echo done >out'], { inputRoot, outputs: ['out'] }));
    const { report } = await stream.heard('finished');
    expect(report).toMatchObject({ failureClass: 'FAILURE_CLASS_UNSPECIFIED', result: { logTruncated: true, outputs: [{ path: 'out' }] } });
    const log = at.coordinator.logs.get('a1.1') ?? Buffer.alloc(0);
    expect(log.length).toBeLessThanOrEqual(100_000);
    expect(log.subarray(-CUT_MARK.length).toString()).toBe(CUT_MARK);
  });

  test('leaves nothing on the host', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sh', '-c', 'echo log; echo x >file'], { inputRoot }));
    await stream.heard('finished');
    await until(
      'workspace and spool are empty',
      () => readdirSync(join(at.dir, 'workspaces')).length + readdirSync(join(at.dir, 'spool/logs')).length === 0,
    );
  });
});

describe.runIf(needs('root', 'mount'))('a full disk', () => {
  test('is an error of the host, not the fault of the step that met it', async () => {
    await using dir = await tempDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dir.path]);
    try {
      await using at = await yard({ dir: dir.path });
      const inputRoot = await tree(at.store, []);
      const stream = await at.coordinator.stream(1);
      stream.send(offerOf('a1.1', ['sh', '-c', 'head -c 50000000 /dev/zero >big'], { inputRoot }));
      const { report } = await stream.heard('finished');
      expect(report).toMatchObject({ failureClass: 'FAILURE_CLASS_SANDBOX_ERROR', message: expect.stringContaining('The disk is full') });
      expect(at.troubles).not.toEqual([]);
    } finally {
      execFileSync('umount', ['-l', dir.path]);
    }
  });
});

describe('a broken stream', () => {
  test('costs neither the running step nor a byte of its log', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const first = await at.coordinator.stream(1);
    first.send(offerOf('a1.1', ['sh', '-c', 'for i in $(seq 40); do echo "line $i"; sleep 0.05; done'], { inputRoot }));
    await first.heard('log');
    first.cut();
    const second = await at.coordinator.stream(2);
    expect(second.all('register')[0]?.held).toMatchObject([{ token: 'a1.1', started: true, finished: null }]);
    await second.heard('log');
    second.cut();
    const third = await at.coordinator.stream(3);
    const { report } = await third.heard('finished');
    const whole = Array.from({ length: 40 }, (_, index) => `line ${index + 1}\n`).join('');
    expect(at.coordinator.logs.get('a1.1')?.toString()).toBe(whole);
    expect(report?.result?.log).toEqual(digestToProto(digestOf(Buffer.from(whole))));
    expect(at.coordinator.streams.flatMap((stream) => stream.all('accept'))).toHaveLength(1);
  });

  test('brings a result back that nobody has answered', async () => {
    await using at = await yard();
    at.coordinator.manners.answersFinished = false;
    const inputRoot = await tree(at.store, []);
    const first = await at.coordinator.stream(1);
    first.send(offerOf('a1.1', ['true'], { inputRoot }));
    await first.heard('finished');
    first.cut();
    const second = await at.coordinator.stream(2);
    expect(second.all('register')[0]?.held).toMatchObject([{ token: 'a1.1', finished: { failureClass: 'FAILURE_CLASS_UNSPECIFIED' } }]);
    await second.heard('finished');
    at.coordinator.manners.answersFinished = true;
    second.cut();
    const third = await at.coordinator.stream(3);
    await third.heard('finished');
    third.cut();
    const fourth = await at.coordinator.stream(4);
    expect(fourth.all('register')[0]?.held).toEqual([]);
  });

  test('is noticed by heartbeats without an answer', async () => {
    await using at = await yard();
    at.coordinator.manners.answersHeartbeats = false;
    const first = await at.coordinator.stream(1);
    await first.heard('heartbeat');
    await until('the agent has given the stream up', () => first.over);
    at.coordinator.manners.answersHeartbeats = true;
    await at.coordinator.stream(2);
  });

  test('stops a side-effecting step before its lease can end, and lets a pure one go on', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const first = await at.coordinator.stream(1);
    first.send(offerOf('a1.1', ['sleep', '1000'], { inputRoot, sideEffects: true }), offerOf('a1.2', ['sleep', '1000'], { inputRoot }));
    await first.heard('running', () => true, 2);
    at.coordinator.manners.refuses = true;
    first.cut();
    // Longer than the lease: by then the side-effecting step has ended.
    await until('the agent tried to come back for a while', () => at.coordinator.streams.length >= 6);
    at.coordinator.manners.refuses = false;
    const back = await until('it came back', () =>
      at.coordinator.streams.find((stream, index) => index > 0 && stream.all('register').length === 1),
    );
    const { report } = await back.heard('finished', ({ token }) => token === 'a1.1');
    expect(report).toMatchObject({ failureClass: 'FAILURE_CLASS_AGENT_LOST', result: null });
    expect(back.all('finished').map(({ token }) => token)).toEqual(['a1.1']);
  });
});

describe('leases', () => {
  test('a lost one is stopped and reported by nobody', async () => {
    await using at = await yard({ slots: 1 });
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sleep', '1000'], { inputRoot }));
    await stream.heard('running');
    at.coordinator.manners.verdicts.set('a1.1', 'LOST');
    await stream.heard('heartbeat', ({ tokens, credits }) => tokens.length === 0 && credits === 1, 2);
    expect(stream.all('finished')).toEqual([]);
  });

  test('an offer that makes no sense is refused with the field, and the stream lives', async () => {
    await using at = await yard();
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', []), offerOf('a1.2', ['true'], { inputRoot: { hash: 'zz', sizeBytes: '1' } }));
    await stream.heard('reject', () => true, 2);
    expect(stream.all('reject').map(({ reason }) => reason)).toEqual([
      expect.stringContaining('offer.command'),
      expect.stringContaining('offer.input_root'),
    ]);
    expect(stream.over).toBe(false);
  });
});

describe('leaving', () => {
  test('a drain finishes what runs, then says goodbye', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sh', '-c', 'echo go; sleep 0.5; echo end'], { inputRoot }));
    await stream.heard('log');
    at.session.drain('SIGTERM');
    await stream.heard('draining');
    stream.send(offerOf('a1.2', ['true'], { inputRoot }));
    await stream.heard('reject', ({ token }) => token === 'a1.2');
    expect(await at.session.ended).toEqual({ ok: true, reason: 'SIGTERM' });
    expect(stream.all('finished')).toMatchObject([{ token: 'a1.1', report: { failureClass: 'FAILURE_CLASS_UNSPECIFIED' } }]);
    expect(stream.received.at(-1)?.kind).toBe('leaving');
  });

  test('a stop ends what runs, free of charge', async () => {
    await using at = await yard();
    const inputRoot = await tree(at.store, []);
    const stream = await at.coordinator.stream(1);
    stream.send(offerOf('a1.1', ['sleep', '1000'], { inputRoot }));
    await stream.heard('running');
    at.session.stop('told to');
    expect(await at.session.ended).toEqual({ ok: true, reason: 'told to' });
    expect(stream.all('finished')).toMatchObject([{ token: 'a1.1', report: { failureClass: 'FAILURE_CLASS_AGENT_STOP' } }]);
    expect(stream.received.at(-1)?.kind).toBe('leaving');
  });
});

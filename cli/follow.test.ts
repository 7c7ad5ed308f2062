import { expect, test } from 'vitest';
import { systemClock, type Clock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { prngFrom } from '../base/prng.ts';
import type { BuildEvent, BuildSnapshot } from './build-view.ts';
import { follow, type Followed } from './follow.ts';
import type { BuildServer } from './rpc/client.ts';

type Scripted = Pick<BuildServer, 'snapshot' | 'watch'>;

// Only what following looks at: the phase and the cursor.
const SNAPSHOT = { build: { phase: 'running' }, steps: [], cursor: 'i:1' } as unknown as BuildSnapshot; // see above
const ENDED = { build: { phase: 'ended' }, steps: [], cursor: 'i:9' } as unknown as BuildSnapshot; // as above

function ready(cursor: string): BuildEvent {
  return { cursor, atMs: 0, step: 'a', kind: 'step-ready' };
}
const END: BuildEvent = { cursor: 'i:9', atMs: 0, step: '', kind: 'build-ended', verdict: 'succeeded', degraded: [] };

/** A server that answers each watch with the next of `watches`; an event list, then a fault or a good end. */
function server(snapshots: readonly (BuildSnapshot | Fault)[], watches: readonly (readonly (BuildEvent | Fault)[])[]) {
  const cursors: string[] = [];
  let snapshot = 0;
  const scripted: Scripted = {
    async snapshot() {
      const next = snapshots[Math.min(snapshot, snapshots.length - 1)];
      snapshot += 1;
      if (next === undefined || next instanceof Fault) throw next ?? new Error('no snapshot');
      return next;
    },
    async *watch(_build, cursor) {
      for (const one of watches[cursors.push(cursor) - 1] ?? []) {
        if (one instanceof Fault) throw one;
        yield one;
      }
    },
  };
  return { server: scripted as BuildServer, cursors }; // follow calls these two only
}

async function all(followed: AsyncIterable<Followed>): Promise<readonly string[]> {
  const told: string[] = [];
  for await (const one of followed) told.push(one.kind === 'event' ? `${one.event.kind} ${one.event.cursor}` : one.kind);
  return told;
}

const OPTIONS = { clock: systemClock, prng: prngFrom(1), patienceMs: 60_000 };
const away = new Fault('PEER_UNAVAILABLE', 'connection refused');

test('a broken watch goes on after the last event that was seen', async () => {
  const { server: scripted, cursors } = server([SNAPSHOT], [[ready('i:2'), away], [away], [ready('i:3'), END]]);
  expect(await all(follow(scripted, 'b', OPTIONS, AbortSignal.timeout(20_000)))).toEqual([
    'snapshot',
    'step-ready i:2',
    'lost',
    'lost',
    'back',
    'step-ready i:3',
    'build-ended i:9',
  ]);
  expect(cursors).toEqual(['i:1', 'i:2', 'i:2']);
});

test('a cursor that the server has forgotten leads to a new snapshot', async () => {
  const { server: scripted } = server([SNAPSHOT, ENDED], [[new Fault('CURSOR_EXPIRED', 'another incarnation')]]);
  expect(await all(follow(scripted, 'b', OPTIONS, AbortSignal.timeout(20_000)))).toEqual(['snapshot', 'snapshot']);
});

test('a stream that ends before the build does is opened again', async () => {
  const { server: scripted } = server([SNAPSHOT, SNAPSHOT], [[ready('i:2')], [END]]);
  expect(await all(follow(scripted, 'b', OPTIONS, AbortSignal.timeout(20_000)))).toEqual([
    'snapshot',
    'step-ready i:2',
    'snapshot',
    'build-ended i:9',
  ]);
});

test('what cannot pass is not tried again', async () => {
  const { server: scripted } = server([new Fault('BUILD_UNKNOWN', 'no such build')], []);
  await expect(all(follow(scripted, 'b', OPTIONS, AbortSignal.timeout(20_000)))).rejects.toMatchObject({ code: 'BUILD_UNKNOWN' });
});

test('patience ends', async () => {
  let nowMs = 0;
  const clock: Clock = { now: () => nowMs, monotonic: () => (nowMs += 40_000) };
  const { server: scripted } = server([away], []);
  await expect(all(follow(scripted, 'b', { ...OPTIONS, clock }, AbortSignal.timeout(20_000)))).rejects.toMatchObject({
    code: 'PEER_UNAVAILABLE',
    message: 'The server has not answered for 60 s: connection refused',
  });
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller } from '../../../base/caller.ts';
import { NO_USAGE, type StepResult } from '../../../cache/action/result.ts';
import { digestOf, type Digest } from '../../../cache/digest.ts';
import { submissionFromProto } from '../../../coordinator/rpc/submit.ts';
import { loadProto } from '../../../proto/load.ts';
import { expectFault, readAll } from '../../contract/blob-store.ts';
import { until } from '../../fixtures/until.ts';
import { openWorld, type Actor, type World } from './world.ts';

/* What has gone wrong in caches of others, done to this one. */

const { signal } = new AbortController();
let world: World;

beforeAll(async () => {
  world = await openWorld({ maxBytes: 24 * 2 ** 20 });
});
afterAll(() => world[Symbol.asyncDispose]());

const MAIN = { kind: 'caller', scope: 'main' } as const satisfies Actor;
const PR = { kind: 'caller', scope: 'main/pr-7' } as const satisfies Actor;
const attempt = (scope: string): Actor => ({ kind: 'attempt', scope, standing: 'live' });
const coordinator = (scope: string): Actor => ({ kind: 'coordinator', scope });
const fresh = (size = 200) => randomBytes(size);

function resultOf(digest: Digest): StepResult {
  const outputs = [{ kind: 'file', path: 'out', digest, executable: false }] as const;
  return { exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 1, endedAt: 2 };
}

/** An action that ran in a scope: its output is stored, its result kept. */
async function ran(scope: string, action: Digest, output: Uint8Array): Promise<void> {
  await world.as(attempt(scope), scope, 'run').store.put(digestOf(output), output, signal);
  await world.as(coordinator(scope), scope, 'run').actions.put(action, resultOf(digestOf(output)), signal);
}

async function outputSeenIn(scope: string, action: Digest): Promise<Digest | undefined> {
  const output = (await world.as(coordinator(scope), scope, 'run').actions.get(action, signal))?.outputs[0];
  return output?.kind === 'file' ? output.digest : undefined;
}

describe('a token that outlives its job (Cacheract, 2024)', () => {
  test('opens nothing once the attempt has ended, whatever is done with it', async () => {
    const [bytes, there] = [fresh(), fresh()];
    await world.as(MAIN, 'main', 'run').store.put(digestOf(there), there, signal);
    const replayed: Actor = { kind: 'attempt', scope: 'main', standing: 'ended' };
    const { store, actions } = world.as(replayed, 'main', 'job');
    await expectFault('FORBIDDEN', store.findMissing([digestOf(there)], signal));
    await expectFault('FORBIDDEN', readAll(store, digestOf(there)));
    await expectFault('FORBIDDEN', store.put(digestOf(bytes), bytes, signal));
    await expectFault('FORBIDDEN', actions.put(digestOf(bytes), resultOf(digestOf(there)), signal));
    expect(await world.as(MAIN, 'main', 'run').store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });

  test('cannot finish an upload that it began before', async () => {
    const bytes = fresh(600_000);
    const gate = Promise.withResolvers<void>();
    let begun = false;
    const source = async function* () {
      yield bytes.subarray(0, 300_000);
      begun = true;
      await gate.promise;
      yield bytes.subarray(300_000);
    };
    const writing = world.as(attempt('main'), 'main', 'slow job').store.put(digestOf(bytes), source(), signal);
    const refused = expectFault('FORBIDDEN', writing);
    await until('the upload is under way', () => begun);
    world.end('slow job', 'main');
    gate.resolve();
    await refused;
    expect(await world.as(MAIN, 'main', 'run').store.findMissing([digestOf(bytes)], signal)).toEqual([digestOf(bytes)]);
  });
});

test('a run of the base branch that a fork had its hands in (TanStack, 2026): nothing that it leaves is seen by the base or a release', async () => {
  const { SubmitBuildRequest } = loadProto().switchyard.v1;
  const caller: Caller = { name: 'ci', role: 'submitter', project: 'web', scope: 'main', zoneCeiling: 'trusted' };
  const request = { idempotencyKey: 'k', name: 'n', steps: [{ name: 's', command: ['x'] }], untrustedInputs: ['fork someone/web@abc'] };
  const { spec } = submissionFromProto(SubmitBuildRequest.deserialize(SubmitBuildRequest.serialize(request)), caller);
  const [action, poison] = [digestOf(fresh()), fresh()];
  await ran(spec.scope, action, poison);
  for (const scope of ['main', 'release', 'main/pr-7']) {
    expect([scope, await outputSeenIn(scope, action)]).toEqual([scope, undefined]);
    expect(await world.as(coordinator(scope), scope, 'run').store.findMissing([digestOf(poison)], signal)).toEqual([digestOf(poison)]);
  }
  expect(await outputSeenIn(spec.scope, action)).toBe(digestOf(poison));
});

test('an untrusted event on the scope of the default branch (GitHub, June 2026) reads it and writes nothing', async () => {
  const [there, bytes, action] = [fresh(), fresh(), digestOf(fresh())];
  await world.as(MAIN, 'main', 'run').store.put(digestOf(there), there, signal);
  const onMain = world.as(PR, 'main', 'run');
  expect((await readAll(onMain.store, digestOf(there))).equals(there)).toBe(true);
  await expectFault('FORBIDDEN', onMain.store.put(digestOf(bytes), bytes, signal));
  await expectFault('FORBIDDEN', onMain.actions.put(action, resultOf(digestOf(there)), signal));
  await expectFault('FORBIDDEN', world.as(attempt('main/pr-7'), 'main', 'run').store.put(digestOf(bytes), bytes, signal));
});

test('isolation takes nothing from reading upwards (GitLab’s suffix made merge requests start empty)', async () => {
  const [action, output] = [digestOf(fresh()), fresh()];
  await ran('main', action, output);
  for (const scope of ['main/pr-7', 'main/pr-7/try', 'main/pr-8']) {
    expect([scope, await outputSeenIn(scope, action)]).toEqual([scope, digestOf(output)]);
    expect((await readAll(world.as(attempt(scope), scope, 'run').store, digestOf(output))).equals(output)).toBe(true);
  }
  expect(await outputSeenIn('release', action)).toBeUndefined();
});

test('the same inputs, run first where nobody is trusted (CREEP, 2025): the base runs them itself', async () => {
  const [action, poisoned, clean] = [digestOf(fresh()), fresh(), fresh()];
  await ran('main/pr-7', action, poisoned);
  expect(await outputSeenIn('main', action)).toBeUndefined();
  await ran('main', action, clean);
  expect(await outputSeenIn('main', action)).toBe(digestOf(clean));
  expect(await outputSeenIn('main/pr-8', action)).toBe(digestOf(clean));
});

test('a flood does not push the base’s entries out (Clinejection, 2026)', async () => {
  const [action, output] = [digestOf(fresh()), fresh(100_000)];
  await ran('main', action, output);
  const flooder = world.as(PR, 'main/pr-7', 'run');
  for (let round = 0; round < 60; round += 1) {
    const bytes = fresh(2 ** 20);
    await flooder.store.put(digestOf(bytes), bytes, signal);
  }
  expect(await outputSeenIn('main', action)).toBe(digestOf(output));
});

test('existence tells nobody what another scope holds', async () => {
  const [theirs, nobodys] = [fresh(), fresh()];
  await world.as(PR, 'main/pr-7', 'run').store.put(digestOf(theirs), theirs, signal);
  await ran('main/pr-7', digestOf(theirs), theirs);
  for (const asking of [{ kind: 'caller', scope: 'main/pr-8' } as const, attempt('main/pr-8'), MAIN]) {
    const { store } = world.as(asking, asking.scope, 'run');
    const asked = [theirs, nobodys].map(digestOf);
    expect(new Set(await store.findMissing(asked, signal))).toEqual(new Set(asked));
    for (const digest of asked) {
      await expectFault('BLOB_UNKNOWN', readAll(store, digest));
      await expectFault('DIGEST_MISMATCH', world.upload(asking, asking.scope, 'run', digest, fresh()));
    }
  }
});

test('a forged part is refused where it is uploaded, and never leaves there', async () => {
  for (const size of [200, 400_000]) {
    const [genuine, forged] = [fresh(size), fresh(size)];
    await expectFault('DIGEST_MISMATCH', world.upload(attempt('main/pr-7'), 'main/pr-7', 'run', digestOf(genuine), forged));
    for (const scope of ['main/pr-7', 'main'])
      expect(await world.as(coordinator(scope), scope, 'run').store.findMissing([digestOf(genuine)], signal)).toEqual([digestOf(genuine)]);
    await world.as(MAIN, 'main', 'run').store.put(digestOf(genuine), genuine, signal);
    expect((await readAll(world.as(MAIN, 'main', 'run').store, digestOf(genuine))).equals(genuine)).toBe(true);
  }
});

test('who may open a pull request reads the base’s cache (Astro’s advisory): not from a scope beside it, nor with what leaks from an agent', async () => {
  const [action, output, planted] = [digestOf(fresh()), fresh(), fresh()];
  await ran('main', action, output);
  const outside = 'outsiders/pr-9';
  for (const asking of [attempt(outside), coordinator(outside)]) {
    const { store } = world.as(asking, outside, 'run');
    expect(await store.findMissing([digestOf(output)], signal)).toEqual([digestOf(output)]);
    await expectFault('BLOB_UNKNOWN', readAll(store, digestOf(output)));
  }
  expect(await outputSeenIn(outside, action)).toBeUndefined();
  await expectFault('FORBIDDEN', world.as(attempt(outside), 'main', 'run').store.findMissing([digestOf(output)], signal));
  // A grant that was copied out of its agent: on another one, after its time, or changed.
  for (const [standing, code] of [
    ['stolen', 'FORBIDDEN'],
    ['expired', 'GRANT_EXPIRED'],
    ['forged', 'FORBIDDEN'],
  ] as const) {
    const { store } = world.as({ kind: 'attempt', scope: 'main', standing }, 'main', 'leak');
    await expectFault(code, store.findMissing([digestOf(output)], signal));
    await expectFault(code, readAll(store, digestOf(output)));
    await expectFault(code, store.put(digestOf(planted), planted, signal));
  }
});

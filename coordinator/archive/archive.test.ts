import fs from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { NO_USAGE, type AttemptReport } from '../../cache/action/result.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import { blobReader } from '../../cache/read-blob.ts';
import { AGENT, buildNumber } from '../../test/contract/ledger-records.ts';
import { openTestDataPlane, type TestDataPlane } from '../../test/fixtures/data-plane.ts';
import { PLAIN_STEP } from '../../test/fixtures/plain-step.ts';
import { stepIdOf, type LeaseToken } from '../core/ids.ts';
import type { LedgerRecord } from '../core/record.ts';
import { Scheduler } from '../core/scheduler.ts';
import type { StepSpec } from '../core/spec.ts';
import { openMemoryLedger } from '../ledger/memory.ts';
import { openArchive } from './archive.ts';
import { decodeBuild, encodeBuild } from './document.ts';

const signal = new AbortController().signal;
const LOG = Buffer.from('first line\nsecond line\n');

/** A build of one step that ran and ended, with a log that nobody has sealed, in a ledger; and an archive over a real store. */
async function openRig(plane: TestDataPlane) {
  const ledger = openMemoryLedger();
  const term = present(await ledger.lead({ id: 'test', address: '' }, 60_000, signal), 'nobody else leads');
  const core = new Scheduler({ nonce: term.nonce, seed: 1 });
  const id = buildNumber(1);
  const step: StepSpec = { ...PLAIN_STEP, name: 'one', cacheable: false, zone: 'trusted' };
  const owner = { project: 'web', scope: 'main', zoneCeiling: 'trusted', submittedBy: 'me' } as const;
  const spec = { ...owner, name: 'nightly', labels: {}, weight: 1, timeoutMs: undefined, failFast: false, steps: [step] };
  const facts = { agent: AGENT, bootId: 'boot', labels: { zone: 'trusted' }, sandbox: [], version: '1' } as const;
  const capacity = { cpuMillis: 4_000, memoryBytes: 2 ** 33, slots: 4, custom: {} };
  let token: LeaseToken | undefined;
  const apply = async (event: Parameters<Scheduler['apply']>[0]) => {
    const outcome = core.apply(event, 1_000);
    if (outcome.writes.length > 0) await ledger.commit(term, outcome.writes, signal);
    for (const send of outcome.sends) {
      if (send.kind === 'tell-agent' && send.message.kind === 'offer') token = send.message.token;
    }
    return outcome;
  };
  const registered = await apply({ kind: 'agent-registered', facts: { ...facts, capacity }, credits: 4, held: [], draining: false });
  const session = registered.reply?.kind === 'session' ? registered.reply.session : undefined;
  await apply({ kind: 'build-submitted', id, spec, idempotencyKey: 'k' });
  const action = { action: PLAIN_STEP.inputRoot, inputRoot: PLAIN_STEP.inputRoot, inputBytes: 0, parts: [] };
  await apply({ kind: 'step-resolved', step: stepIdOf(id, 'one'), resolution: { kind: 'ready', action } });
  const lease = { session: present(session, 'registered'), token: present(token, 'offered') };
  await apply({ kind: 'offer-accepted', ...lease });
  await apply({ kind: 'attempt-started', ...lease });
  await ledger.commit(term, [{ kind: 'log-chunk', build: id, token: lease.token, offset: 0, bytes: LOG }], signal);
  const result = { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent: AGENT, startedAt: 1, endedAt: 2 };
  const report: AttemptReport = { kind: 'succeeded', result };
  await apply({ kind: 'attempt-finished', ...lease, report });
  const service = plane.open('service', '');
  const archive = openArchive({ ledger, cacheOf: (instanceName) => service.withInstance(instanceName), log: plane.env.log });
  return { archive, core, id, ledger, service, term, token: lease.token, view: () => present(core.build(id), 'the build is there') };
}

const keyed = (record: LedgerRecord) => JSON.stringify(record);

test('an archived build has every record, event and log byte that the ledger had, for its own project only', async () => {
  await using plane = await openTestDataPlane();
  const { archive, id, ledger, service, token, view } = await openRig(plane);
  expect(await archive.find('web', id, signal)).toBeUndefined();
  await archive.keep(view(), signal);
  await archive.keep(view(), signal); // a crash before the ledger forgot it
  const found = present(await archive.find('web', id, signal), 'archived');
  const records = (await ledger.records(id, signal)).map(keyed);
  expect(found.records.map(keyed).toSorted()).toEqual(records.toSorted());
  expect(found.records[0]?.kind).toBe('build');
  expect(found.events).toEqual(await ledger.events(id, 0, 100, signal));
  const log = present(found.logs.get(token), 'its log');
  expect(log).toEqual({ digest: digestOf(LOG), truncated: false });
  expect(Buffer.from(await blobReader(service.withInstance('web/main').store)(log.digest, signal))).toEqual(LOG);
  const restored = new Scheduler({ nonce: 'abc', seed: 1 });
  restored.restore(found.records);
  expect(restored.build(id)).toMatchObject({ endedCount: 1, state: { kind: 'ended', outcome: 'succeeded' } });
  expect(await archive.find('other', id, signal)).toBeUndefined();
});

test('a leader that was overtaken does not replace what its successor has archived and forgotten', async () => {
  await using plane = await openTestDataPlane();
  const { archive, id, ledger, term, view } = await openRig(plane);
  const events = await ledger.events(id, 0, 100, signal);
  await archive.keep(view(), signal);
  await ledger.commit(term, [{ kind: 'build-forgotten', id }], signal);
  await expect(archive.keep(view(), signal)).rejects.toMatchObject({ code: 'WRONG_STATE' });
  expect(await archive.find('web', id, signal)).toMatchObject({ events });
});

test('a build is found for as long as its own blob is there, whether its logs are or not', async () => {
  await using plane = await openTestDataPlane();
  const { archive, id, term, view, ledger, service } = await openRig(plane);
  await archive.keep(view(), signal);
  const files = fs.readdirSync(plane.dir, { recursive: true, encoding: 'utf8' }).map((name) => join(plane.dir, name));
  const of = (digest: string) => files.filter((file) => file.includes(digest) && fs.statSync(file).isFile());
  for (const file of of(digestOf(LOG))) fs.rmSync(file);
  const again = () => openArchive({ ledger, cacheOf: (name) => service.withInstance(name), log: plane.env.log });
  expect(await again().find('web', id, signal)).toMatchObject({ id });
  await ledger.commit(term, [{ kind: 'build-forgotten', id }], signal);
  const blobs = files.filter((file) => file.includes('/cas/') && fs.existsSync(file) && fs.statSync(file).isFile());
  for (const file of blobs) fs.writeFileSync(file, Buffer.alloc(fs.statSync(file).size, 7));
  const damaged = again().find('web', id, signal);
  await expect(damaged).rejects.toMatchObject({ code: 'BUILD_UNKNOWN', message: expect.stringContaining('is damaged') });
  expect(await again().find('web', id, signal)).toBeUndefined(); // the store has dropped what was damaged
});

test('what a client puts under an archived build’s key is never read as the build', async () => {
  await using plane = await openTestDataPlane();
  const { archive, id, ledger, view, service } = await openRig(plane);
  const spied = new Map<Digest, string>();
  const recording = openArchive({
    ledger,
    cacheOf: (name) => {
      const cache = service.withInstance(name);
      return {
        store: cache.store,
        actions: { get: cache.actions.get, put: async (action) => void spied.set(action, name) },
      };
    },
    log: plane.env.log,
  });
  await recording.keep(view(), signal);
  expect([...new Set(spied.values())]).toEqual(['web/main', 'web/.archive']);
  const client = plane.open('main', 'web/main');
  const forged = Buffer.from('not a build');
  await client.store.put(digestOf(forged), forged, signal);
  const outputs = [{ kind: 'file', path: '0', digest: digestOf(forged), executable: false }] as const;
  const result = { exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'me', startedAt: 0, endedAt: 0 };
  for (const action of spied.keys()) {
    await client.actions.put(action, result, signal);
    await expect(plane.open('main', 'web/.archive').actions.put(action, result, signal)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  }
  expect(await archive.find('web', id, signal)).toBeUndefined();
});

test('a document that is cut, damaged or newer than this program is refused', async () => {
  await using plane = await openTestDataPlane();
  const { id, view } = await openRig(plane);
  const build = { id, incarnation: 'i', records: [{ kind: 'build', build: view().record } as const], events: [], logs: new Map() };
  const frames = await encodeBuild(build);
  const bytes = Buffer.concat(frames);
  expect((await decodeBuild(bytes)).records).toEqual(JSON.parse(JSON.stringify(build.records)));
  await expect(decodeBuild(bytes.subarray(0, bytes.byteLength - 9))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
  const text = (header: object) => zstdCompressSync(Buffer.from(`${JSON.stringify(header)}\n`));
  const header = { form: 1, build: id, incarnation: 'i', records: 1, events: 0, logs: 0 };
  await expect(decodeBuild(text(header))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
  await expect(decodeBuild(text({ ...header, form: 2 }))).rejects.toMatchObject({ code: 'WRONG_STATE' });
});

test('a store that does not answer is an error that passes, not a build that is gone', async () => {
  const plane = await openTestDataPlane();
  const { archive, id, view } = await openRig(plane);
  await archive.keep(view(), signal);
  await plane[Symbol.asyncDispose]();
  await expect(archive.find('web', id, signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

import { describe, expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { digestOf } from '../../cache/digest.ts';
import { offer, Rig, SUCCEEDED } from '../../test/fixtures/session-rig.ts';
import { LOG_CHUNK_BYTES } from './lease.ts';

describe('results', () => {
  test('a result is journalled before it is sent, and kept until it is answered', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    expect(rig.did('keep')).toEqual([{ kind: 'keep', token: 't.1', report: SUCCEEDED }]);
    expect(rig.did('forget')).toEqual([]);
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'accepted' });
    expect(rig.did('forget')).toEqual([{ kind: 'forget', token: 't.1' }]);
  });

  test.for(['accepted', 'already-accepted', 'fenced'] as const)('%s ends the matter', (verdict) => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.hear({ kind: 'result-reply', token: 't.1', verdict });
    rig.hear({ kind: 'result-reply', token: 't.1', verdict });
    expect(rig.did('forget')).toHaveLength(1);
  });

  test('a result without an answer is sent again', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.pass(5_000);
    rig.renew('t.1');
    rig.pass(5_000);
    expect(rig.said('finished')).toHaveLength(2);
  });

  test('after a reconnect held results are told and sent again, until they are answered', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.breakStream();
    rig.connect({ held: [{ token: 't.1', verdict: 'continue' }] });
    expect(rig.said('finished')).toHaveLength(2);
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'already-accepted' });
    expect(rig.did('forget')).toHaveLength(1);
  });

  test('a held lease that the coordinator calls lost is dropped', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.finish('t.1');
    rig.start('t.2');
    rig.breakStream();
    rig.connect({
      held: [
        { token: 't.1', verdict: 'lost' },
        { token: 't.2', verdict: 'lost' },
      ],
    });
    expect(rig.did('forget')).toEqual([{ kind: 'forget', token: 't.1' }]);
    expect(rig.did('cancel')).toMatchObject([{ token: 't.2' }]);
  });

  test('more results than one message holds are all told of on registration, and each is offered', () => {
    const path = 'p'.repeat(200);
    const outputs = Array.from({ length: 1_000 }, () => ({ kind: 'symlink' as const, path, target: path }));
    const report = { kind: 'succeeded' as const, result: { ...present(SUCCEEDED.result, 'a success has a result'), outputs } };
    const tokens = Array.from({ length: 60 }, (_, index) => `old.${index}`);
    const rig = new Rig(
      {},
      tokens.map((token) => ({ token, report, logBytes: 0 })),
    ).connect({
      held: tokens.map((token) => ({ token, verdict: 'continue' as const })),
    });
    const held = rig.said('register')[0]?.held ?? [];
    expect(held.map(({ token }) => token)).toEqual(tokens);
    expect(JSON.stringify(held).length).toBeLessThan(4 * 1024 * 1024);
    expect(new Set(held.map(({ phase }) => phase.kind))).toEqual(new Set(['finished', 'started']));
    expect(rig.said('finished').map(({ token }) => token)).toEqual(tokens);
  });

  test('results of an earlier life are offered on registration and take no slot', () => {
    const log = { digest: digestOf(Buffer.from('ten bytes\n')), truncated: false };
    const report = { kind: 'succeeded' as const, result: { ...present(SUCCEEDED.result, 'a success has a result'), log } };
    const rig = new Rig({}, [{ token: 'old.1', report, logBytes: 10 }]);
    rig.connect({ held: [{ token: 'old.1', verdict: 'continue' }], logs: [{ token: 'old.1', offset: 4 }] });
    expect(rig.said('register')[0]).toMatchObject({ credits: 2, held: [{ token: 'old.1', phase: { kind: 'finished' } }] });
    expect(rig.sends.slice(1)).toEqual([
      { kind: 'log', token: 'old.1', offset: 4, length: 6 },
      { kind: 'finished', token: 'old.1', report },
    ]);
  });

  test('a log that no store took goes ahead of its result, which is not told of on registration', () => {
    const rig = new Rig({}, [{ token: 'old.1', report: SUCCEEDED, logBytes: 10 }]);
    rig.connect({ held: [{ token: 'old.1', verdict: 'continue' }], logs: [{ token: 'old.1', offset: 4 }] });
    expect(rig.said('register')[0]).toMatchObject({ held: [{ token: 'old.1', phase: { kind: 'started' } }] });
    expect(rig.sends.slice(1)).toEqual([
      { kind: 'log', token: 'old.1', offset: 4, length: 6 },
      { kind: 'finished', token: 'old.1', report: SUCCEEDED },
    ]);
  });
});

describe('logs', () => {
  test('a log goes out in pieces, as far as the window allows', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 200 * 1024 });
    expect(rig.said('log').map(({ offset, length }) => [offset, length])).toEqual([
      [0, LOG_CHUNK_BYTES],
      [LOG_CHUNK_BYTES, LOG_CHUNK_BYTES],
    ]);
    rig.hear({ kind: 'log-ack', token: 't.1', offset: LOG_CHUNK_BYTES });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 2 * LOG_CHUNK_BYTES, length: LOG_CHUNK_BYTES });
  });

  test('after a reconnect the log goes on where the coordinator wants it', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 40 });
    rig.breakStream();
    rig.connect({ held: [{ token: 't.1', verdict: 'continue' }], logs: [{ token: 't.1', offset: 20 }] });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 20, length: 80 });
  });

  test('without an offset it goes on behind the last acknowledged byte', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 40 });
    rig.breakStream();
    rig.connect({ held: [{ token: 't.1', verdict: 'continue' }] });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 40, length: 60 });
  });

  test('an acknowledgement that goes back is obeyed', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 30 });
    expect(rig.said('log').at(-1)).toEqual({ kind: 'log', token: 't.1', offset: 30, length: 70 });
  });

  test('repeats of an acknowledgement bring the bytes again, but not at once', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 100 });
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 0 });
    expect(rig.said('log')).toHaveLength(1);
    rig.pass(5_000);
    rig.renew('t.1');
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 0 });
    expect(rig.said('log')).toHaveLength(2);
  });

  test('the result waits for its log, but not longer than a heartbeat', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'log-grew', token: 't.1', size: 200 * 1024 });
    rig.finish('t.1');
    expect(rig.said('finished')).toEqual([]);
    rig.hear({ kind: 'log-ack', token: 't.1', offset: 128 * 1024 });
    expect(rig.sends.slice(-2).map((message) => message.kind)).toEqual(['log', 'finished']);

    const stuck = new Rig().connect();
    stuck.start('t.1');
    stuck.apply({ kind: 'log-grew', token: 't.1', size: 200 * 1024 });
    stuck.finish('t.1');
    stuck.pass(5_000);
    expect(stuck.said('finished')).toHaveLength(1);
  });
});

describe('leaving', () => {
  test('a drain hands back what does not run, finishes what runs, then leaves', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.hear(offer('t.2'));
    rig.apply({ kind: 'drain-requested', reason: 'SIGTERM' });
    expect(rig.did('cancel')).toMatchObject([{ token: 't.2', class: 'agent-stop' }]);
    expect(rig.said('draining')).toHaveLength(1);
    rig.hear(offer('t.3'));
    expect(rig.said('reject')).toMatchObject([{ token: 't.3' }]);
    rig.apply({ kind: 'attempt-finished', token: 't.2', report: { kind: 'failed', class: 'agent-stop', message: '', result: undefined } });
    rig.hear({ kind: 'result-reply', token: 't.2', verdict: 'accepted' });
    rig.finish('t.1');
    expect(rig.ended).toBeUndefined();
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'accepted' });
    expect(rig.ended).toEqual({ ok: true, reason: 'SIGTERM' });
    expect(rig.sends.at(-1)).toEqual({ kind: 'leaving' });
  });

  test('an idle agent drains at once', () => {
    const rig = new Rig().connect();
    rig.hear({ kind: 'drain', reason: 'maintenance' });
    expect(rig.ended).toEqual({ ok: true, reason: 'maintenance' });
  });

  test('a drain that takes too long becomes a stop', () => {
    const rig = new Rig({ drainTimeoutMs: 3_000 }).connect();
    rig.start('t.1');
    rig.apply({ kind: 'drain-requested', reason: 'SIGTERM' });
    rig.pass(3_000);
    expect(rig.did('cancel')).toMatchObject([{ token: 't.1', class: 'agent-stop', graceMs: 5_000 }]);
  });

  test('a stop stops what runs, reports it and leaves', () => {
    const rig = new Rig().connect();
    rig.start('t.1', { graceMs: 2_000 });
    rig.apply({ kind: 'drain-requested', reason: 'SIGTERM' });
    rig.apply({ kind: 'stop-requested', reason: 'SIGTERM again' });
    expect(rig.did('cancel')).toMatchObject([{ token: 't.1', class: 'agent-stop', graceMs: 2_000 }]);
    rig.apply({ kind: 'attempt-finished', token: 't.1', report: { kind: 'failed', class: 'agent-stop', message: '', result: undefined } });
    expect(rig.said('finished')).toHaveLength(1);
    rig.hear({ kind: 'result-reply', token: 't.1', verdict: 'accepted' });
    expect(rig.ended?.ok).toBe(true);
    expect(rig.sends.at(-1)).toEqual({ kind: 'leaving' });
  });

  test('a stop ends in time, whatever does not', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'stop-requested', reason: 'x' });
    rig.pass(10_000);
    expect(rig.ended).toBeDefined();
  });

  test('a stop without a coordinator ends as soon as nothing runs', () => {
    const rig = new Rig().connect();
    rig.start('t.1');
    rig.apply({ kind: 'stream-broke', stream: rig.stream, code: 'PEER_UNAVAILABLE', message: 'gone' });
    rig.apply({ kind: 'stop-requested', reason: 'x' });
    expect(rig.ended).toBeUndefined();
    rig.finish('t.1');
    expect(rig.ended).toBeDefined();
  });

  test('nothing happens after the end', () => {
    const rig = new Rig().connect();
    rig.apply({ kind: 'drain-requested', reason: 'x' });
    const outcome = rig.hear(offer('t.1'));
    expect(outcome).toMatchObject({ commands: [], sends: [], wakeAt: undefined });
  });
});

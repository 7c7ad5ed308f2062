import { expect, test } from 'vitest';
import { present } from '../../../base/assert.ts';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { prngFrom } from '../../../base/prng.ts';
import { NO_USAGE } from '../../../cache/action/result.ts';
import { sessionDialler } from '../../../agent/rpc/session-client.ts';
import type { Executor } from '../../../agent/session/executor.ts';
import { startSession, type Session } from '../../../agent/session/session.ts';
import { openSpool } from '../../../agent/spool/spool.ts';
import { openMemoryLedger } from '../../../coordinator/ledger/memory.ts';
import { callUnary } from '../../../proto/dial.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { until } from '../../fixtures/until.ts';
import { startNode, type CoordinatorNode } from '../coordinator-node.ts';
import { memoryDataPlane } from '../memory-data-plane.ts';
import { tokenOf } from '../served-coordinator.ts';
import { COMPLETION_FAULTS, faultyDialler, type CompletionFault, type Strays } from './faulty-dialler.ts';
import { linkTo, type LedgerLink } from './watched-ledger.ts';

const STEPS = 10_000;
const PER_BUILD = 1_000;
const AGENTS = 8;
const SLOTS = 16;
const TTL_MS = 2_000;
/** Changes of the leader, spread over the run. */
const CHANGES = 6;

/** Says at once that the command ran and ended. */
function instant(agent: string): Executor {
  return {
    begin(_offer, _terms, listener) {
      queueMicrotask(listener.prepared);
      return {
        run() {
          listener.running();
          listener.exited();
          const result = { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent, startedAt: 1, endedAt: 2 };
          listener.finished({ kind: 'succeeded', result });
        },
        extend() {},
        cancel: ({ class: failure, message }) => listener.finished({ kind: 'failed', class: failure, message, result: undefined }),
      };
    },
  };
}

/** What was committed of steps' ends, and what agents were told of their completions. */
class Tally {
  /** Ends by step, in the order of the commits. */
  readonly ends = new Map<string, number>();
  readonly accepted = new Map<string, number>();
  readonly verdicts = { accepted: 0, 'already-accepted': 0, fenced: 0 };
  readonly pending = new Set<object>();
  readonly faults = new Map<CompletionFault, number>(COMPLETION_FAULTS.map((fault) => [fault, 0]));

  link(ledger: Parameters<typeof linkTo>[0]): LedgerLink {
    return linkTo(ledger, (records) => {
      for (const record of records) {
        if (record.kind !== 'event' || record.event.kind !== 'step-ended') continue;
        const key = `${record.build}/${record.event.step} ${record.event.outcome.kind}`;
        this.ends.set(key, (this.ends.get(key) ?? 0) + 1);
      }
    });
  }
}

function startAgents(nodes: readonly CoordinatorNode[], dir: string, tally: Tally): readonly Session[] {
  const env = { clock: systemClock, log: silentLogger };
  const strays: Strays = new Set();
  return Array.from({ length: AGENTS }, (_, index) => {
    const agentId = `edge-${index}`;
    // Agents begin at different coordinators.
    const address = nodes.map((_node, at) => present(nodes[(at + index) % nodes.length], 'a node').address).join(',');
    return startSession({
      profile: {
        ...{ agentId, bootId: agentId, labels: {}, sandbox: [], version: 'test', drainTimeoutMs: 1_000 },
        capacity: { cpuMillis: 1e6, memoryBytes: 2 ** 40, slots: SLOTS, custom: {} },
      },
      prng: prngFrom(index),
      dialler: faultyDialler({
        next: sessionDialler({ link: { address, token: tokenOf('agent') }, readLog: () => new Uint8Array(0), env }),
        prng: prngFrom(1_000 + index),
        strays,
        pending: tally.pending,
        count: (fault) => tally.faults.set(fault, (tally.faults.get(fault) ?? 0) + 1),
        heard(message) {
          if (message.kind !== 'result-reply') return;
          tally.verdicts[message.verdict] += 1;
          if (message.verdict === 'accepted') tally.accepted.set(message.token, (tally.accepted.get(message.token) ?? 0) + 1);
        },
      }),
      spool: openSpool({ dir: `${dir}/${agentId}`, bytesMax: 1 << 24, env }),
      executor: instant(agentId),
      env,
    });
  });
}

test(`${STEPS} completions that were doubled, delayed, reordered, lost or sent to others while leaders change are accepted once each`, async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const ledger = openMemoryLedger();
  const data = memoryDataPlane();
  const tally = new Tally();
  const links = [tally.link(ledger), tally.link(ledger)] as const;
  const nodes = [
    stack.use(await startNode('first', { ledger: links[0], data, ttlMs: TTL_MS })),
    stack.use(await startNode('second', { ledger: links[1], data, ttlMs: TTL_MS })),
  ] as const;
  const leaderAt = () => nodes.findIndex((node) => node.roles.current().kind === 'leading');
  await until('somebody leads', () => leaderAt() >= 0);
  for (const session of startAgents(nodes, dir.path, tally)) stack.use(session);
  for (let build = 0; build < STEPS / PER_BUILD; build += 1) {
    const steps = Array.from({ length: PER_BUILD }, (_, index) => ({
      name: `s-${index}`,
      command: ['true'],
      sideEffects: false,
      cacheable: false,
    }));
    const request = { idempotencyKey: `key-${build}`, name: 'b', steps };
    await callUnary(nodes[build % 2 === 0 ? 0 : 1].client('submitter'), 'submitBuild', request, { signal: AbortSignal.timeout(60_000) });
  }
  for (let change = 1; change <= CHANGES; change += 1) {
    await until(`change ${change} of the leader is due`, () => tally.ends.size >= (STEPS / (CHANGES + 1)) * change, 120_000);
    const before = await until('somebody leads', () => (leaderAt() >= 0 ? { at: leaderAt() } : undefined));
    const link = present(links[before.at], 'the leader has a link');
    link.cut(true);
    await until('the other one leads', () => leaderAt() === 1 - before.at);
    link.cut(false);
  }
  await until('every step has ended', () => tally.ends.size >= STEPS, 120_000);
  await until('the last repeat was sent', () => tally.pending.size === 0);
  await callUnary(nodes[0].client('viewer'), 'listBuilds', {}, { signal: AbortSignal.timeout(60_000) });
  expect(tally.ends.size).toBe(STEPS);
  expect([...tally.ends.keys()].filter((key) => !key.endsWith(' succeeded'))).toEqual([]);
  expect([...tally.ends].filter(([, count]) => count !== 1)).toEqual([]);
  expect([...tally.accepted].filter(([, count]) => count !== 1)).toEqual([]);
  const faults = [...tally.faults.values()].reduce((sum, count) => sum + count, 0);
  expect(faults).toBeGreaterThanOrEqual(STEPS);
  for (const [fault, count] of tally.faults) expect(count, fault).toBeGreaterThan(20);
  expect(tally.verdicts['already-accepted']).toBeGreaterThan(STEPS / 10);
  expect(tally.verdicts.fenced).toBeGreaterThan(0);
}, 300_000);

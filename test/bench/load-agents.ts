/**
 * A process with agents that run the production session code, stream, journal and all, and differ from real ones only in
 * the executor: it says that the command ran and ended, at once. Told over IPC how many agents to be and where to dial;
 * answers `ready`, then which steps it was told to run and when.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import type { Env } from '../../base/env.ts';
import { jsonLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { Secret } from '../../base/secret.ts';
import { NO_USAGE } from '../../cache/action/result.ts';
import { sessionDialler } from '../../agent/rpc/session-client.ts';
import type { Executor } from '../../agent/session/executor.ts';
import type { Dialler } from '../../agent/session/stream.ts';
import { startSession } from '../../agent/session/session.ts';
import { openSpool } from '../../agent/spool/spool.ts';
import { hostMicros } from './host-micros.ts';

/** What the parent says first. */
export type LoadAgentsOrder = {
  /** Every coordinator's address, with commas between them. */
  readonly address: string;
  /** Agents take them in turn. */
  readonly tokens: readonly string[];
  /** Number of the first agent. */
  readonly first: number;
  readonly count: number;
  readonly slots: number;
  /** How long each step runs. */
  readonly holdMs: number;
  readonly labels: Readonly<Record<string, string>>;
};

/** What this process says: ready once, then `[<build>/<step>, time of the start in microseconds of the host's monotonic clock]` pairs. */
export type LoadAgentsNews =
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly starts: readonly (readonly [string, number])[] }
  /** From when a heartbeat was given to the stream to when its answer came, in milliseconds. */
  | { readonly kind: 'heartbeats'; readonly tripsMs: readonly number[] };

/** Starts are sent in bundles, so that telling of them costs little beside what is measured. */
const NEWS_MS = 50;

/** Says that the command runs, and that it ended after `holdMs`. */
function pretender(agent: string, holdMs: number, note: (key: string) => void): Executor {
  return {
    begin(offer, _terms, listener) {
      let over = false;
      queueMicrotask(listener.prepared);
      return {
        run() {
          note(`${offer.build}/${offer.step}`);
          const startedAt = systemClock.now();
          listener.running();
          const end = () => {
            if (over) return;
            over = true;
            listener.exited();
            const result = { exitCode: 0, outputs: [], log: undefined, usage: NO_USAGE, agent, startedAt, endedAt: systemClock.now() };
            listener.finished({ kind: 'succeeded', result });
          };
          if (holdMs === 0) end();
          else setTimeout(end, holdMs);
        },
        extend() {},
        cancel({ class: failure, message }) {
          if (over) return;
          over = true;
          listener.finished({ kind: 'failed', class: failure, message, result: undefined });
        },
      };
    },
  };
}

/** Tells how long heartbeats wait for their answers; the stream keeps their order. */
function timed(next: Dialler, note: (tripMs: number) => void): Dialler {
  return {
    addresses: next.addresses,
    open(address, listener) {
      const sent: number[] = [];
      const stream = next.open(address, {
        broken: listener.broken,
        message(message) {
          const at = message.kind === 'heartbeat-reply' ? sent.shift() : undefined;
          if (at !== undefined) note((hostMicros() - at) / 1000);
          listener.message(message);
        },
      });
      return {
        send(messages) {
          for (const message of messages) if (message.kind === 'heartbeat') sent.push(hostMicros());
          stream.send(messages);
        },
        finish: () => stream.finish(),
        close: () => stream.close(),
      };
    },
  };
}

async function obey(order: LoadAgentsOrder, tell: (news: LoadAgentsNews) => void): Promise<void> {
  const env: Env = { clock: systemClock, log: jsonLogger('error') };
  const dir = mkdtempSync(join(tmpdir(), 'switchyard-load-agents-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  let starts: (readonly [string, number])[] = [];
  let tripsMs: number[] = [];
  setInterval(() => {
    if (starts.length > 0) tell({ kind: 'started', starts });
    if (tripsMs.length > 0) tell({ kind: 'heartbeats', tripsMs });
    starts = [];
    tripsMs = [];
  }, NEWS_MS);
  const sessions = Array.from({ length: order.count }, (_, index) => {
    const agent = `load-${order.first + index}`;
    const token = new Secret(order.tokens[(order.first + index) % order.tokens.length] ?? '');
    const spool = openSpool({ dir: join(dir, agent), bytesMax: 1 << 20, env });
    return startSession({
      profile: {
        agentId: agent,
        bootId: agent,
        labels: { class: 'central', os: 'linux', ...order.labels },
        capacity: { cpuMillis: order.slots * 1000, memoryBytes: 2 ** 40, slots: order.slots, custom: {} },
        sandbox: [],
        version: 'bench',
        drainTimeoutMs: 1_000,
      },
      prng: prngFrom(order.first + index),
      dialler: timed(
        sessionDialler({ link: { address: order.address, token }, readLog: () => new Uint8Array(0), env }),
        (tripMs) => void tripsMs.push(tripMs),
      ),
      spool,
      executor: pretender(agent, order.holdMs, (key) => void starts.push([key, hostMicros()])),
      env,
    });
  });
  for (const session of sessions) void session.ended.then(({ reason }) => fail(`A load agent's session ended: ${reason}`));
  await Promise.all(sessions.map((session) => session.registered));
  tell({ kind: 'ready' });
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

if (process.send !== undefined) {
  process.once('message', (order: LoadAgentsOrder) => void obey(order, (news) => process.send?.(news)));
  process.once('disconnect', () => process.exit(0));
  process.on('error', () => process.exit(0)); // a send whose receiver has just gone
}

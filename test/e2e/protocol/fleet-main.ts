import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sessionDialler } from '../../../agent/rpc/session-client.ts';
import type { Executor } from '../../../agent/session/executor.ts';
import { startSession } from '../../../agent/session/session.ts';
import type { Dialler } from '../../../agent/session/stream.ts';
import { openSpool } from '../../../agent/spool/spool.ts';
import { systemClock } from '../../../base/clock.ts';
import type { Env } from '../../../base/env.ts';
import { silentLogger } from '../../../base/log.ts';
import { prngFrom } from '../../../base/prng.ts';
import { Secret } from '../../../base/secret.ts';

/*
 * Many agents' sessions in one process, with everything real but the steps, which end at once. Arguments: address, token,
 * count. Prints a JSON line for every dial and every registration: `{"kind":"dial","agent":...,"atMs":...}`.
 */

const [address = '', token = '', count = '0'] = process.argv.slice(2);
const env: Env = { clock: systemClock, log: silentLogger };
const dir = mkdtempSync(join(tmpdir(), 'switchyard-fleet-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
process.on('SIGTERM', () => process.exit(0));

/** No step is given to these agents; one that is would be an error here. */
const idle: Executor = {
  begin: () => {
    throw new Error('a step came to an agent of the fleet');
  },
};

function say(kind: 'dial' | 'registered', agent: string): void {
  process.stdout.write(`${JSON.stringify({ kind, agent, atMs: systemClock.monotonic() })}\n`);
}

function watched(agent: string): Dialler {
  const real = sessionDialler({ link: { address, token: new Secret(token) }, readLog: () => new Uint8Array(0), env });
  return {
    addresses: real.addresses,
    open(to, listener) {
      say('dial', agent);
      return real.open(to, {
        ...listener,
        message(message) {
          if (message.kind === 'registered') say('registered', agent);
          listener.message(message);
        },
      });
    },
  };
}

for (let index = 0; index < Number(count); index += 1) {
  const agentId = `fleet-${index}`;
  startSession({
    profile: {
      agentId,
      bootId: agentId,
      labels: {},
      capacity: { cpuMillis: 1_000, memoryBytes: 2 ** 30, slots: 1, custom: {} },
      sandbox: [],
      version: 'test',
      drainTimeoutMs: 1_000,
    },
    prng: prngFrom(index + 1),
    dialler: watched(agentId),
    spool: openSpool({ dir: join(dir, agentId), bytesMax: 1 << 20, env }),
    executor: idle,
    env,
  });
}

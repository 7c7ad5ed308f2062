import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { newAuthority, validFor, type KeyedCertificate } from '../../base/issue-certificate.ts';
import { certificateBy, DAY_MS } from '../fixtures/certificates.ts';
import { startIdentityYard, type IdentityYard } from '../fixtures/identity-yard.ts';

export type SoakPlan = {
  readonly agents: number;
  /** Life of an agent's certificate. */
  readonly lifeMs: number;
  /** When the authority is rotated, the servers' certificate is exchanged, the old authority retired, and the soak over; from its start. */
  readonly rotateAtMs: number;
  readonly exchangeAtMs: number;
  readonly retireAtMs: number;
  readonly endAtMs: number;
};

export type SoakReport = {
  readonly steps: number;
  readonly failedSteps: number;
  /** Streams that ended though nobody wanted that, by what agents and coordinator say. */
  readonly droppedStreams: number;
  readonly renewals: number;
  /** Renewals after the old authority was retired: by the new one alone. */
  readonly renewalsAfter: number;
  /** What else agents complained of, such as a certificate that was not shown yet, by its event. */
  readonly complaints: Readonly<Record<string, number>>;
};

/** One that lasts as long as the soak, beside short ones: its stream and lease live through all certificates. */
const LONG = (ms: number) => ({ name: 'long', command: ['sleep', String(Math.ceil(ms / 1_000))], cacheable: false, sideEffects: true });
const SHORT = ['sh', '-c', 'head -c 20000 /dev/urandom | od | tail -c 5000; sleep 0.2'];

/**
 * Agents with certificates of a short life work while the authority of their zone, which also vouches for the servers, is rotated,
 * exchanged and retired under them.
 */
export async function identitySoak(plan: SoakPlan): Promise<SoakReport> {
  await using stack = new AsyncDisposableStack();
  const yard = stack.use(await startIdentityYard({ args: ['--certificate-life', `${plan.lifeMs}ms`] }));
  const startedAt = systemClock.monotonic();
  const at = (ms: number) => sleep(Math.max(0, startedAt + ms - systemClock.monotonic()));
  const agents = await Promise.all(
    Array.from({ length: plan.agents }, async (_, index) => {
      const agent = await yard.agent(`soak-${index}`, '--enroll', await yard.token());
      await agent.session.registered;
      return agent;
    }),
  );
  const stop = new AbortController();
  const working = work(yard, plan, startedAt, stop.signal);
  await at(plan.rotateAtMs);
  const next = rotate(yard);
  await at(plan.exchangeAtMs);
  exchangeServer(yard, next);
  await at(plan.retireAtMs);
  replace(join(yard.dir, 'trusted.pem'), next.cert);
  const count = (event: string) => agents.reduce((sum, { log }) => sum + log.entries.filter((entry) => entry.event === event).length, 0);
  const renewalsBefore = count('certificate-renewed');
  await at(plan.endAtMs);
  stop.abort();
  const { steps, failedSteps } = await working;
  const complaints: Record<string, number> = {};
  for (const { log } of agents)
    for (const { level, event } of log.entries) if (level === 'warn' || level === 'error') complaints[event] = (complaints[event] ?? 0) + 1;
  const broken = count('session-broke') + count('session-hung-up');
  const disconnected = yard.log.entries.filter(({ event }) => event === 'agent-disconnected').length;
  const renewals = count('certificate-renewed');
  return {
    steps,
    failedSteps,
    droppedStreams: Math.max(broken, disconnected),
    renewals,
    renewalsAfter: renewals - renewalsBefore,
    complaints,
  };
}

/** Builds one after another until it is told to stop; each has as many steps as there are agents. */
async function work(yard: IdentityYard, plan: SoakPlan, startedAt: number, stop: AbortSignal) {
  const signal = AbortSignal.timeout(plan.endAtMs + 600_000);
  const server = yard.build();
  let steps = 0;
  let failedSteps = 0;
  const take = async (planned: readonly object[]) => {
    const { id } = await server.submit({ idempotencyKey: randomUUID(), name: 'soak', steps: [...planned] }, signal);
    for await (const event of server.watch(id, '', signal)) {
      if (event.kind === 'step-ended') {
        steps += 1;
        if (event.verdict !== 'succeeded') failedSteps += 1;
      }
      if (event.kind === 'build-ended') break;
    }
  };
  const leftMs = startedAt + plan.endAtMs - systemClock.monotonic();
  const long = take([LONG(leftMs)]);
  const names = Array.from({ length: Math.max(1, plan.agents - 1) }, (_, index) => `short-${index}`);
  while (!stop.aborted) await take(names.map((name) => ({ name, command: SHORT, cacheable: false })));
  await long;
  return { steps, failedSteps };
}

/** As `switchyard ca rotate`: the new authority in front of the old one, then its key in the place of the old one's. */
function rotate({ dir }: IdentityYard): KeyedCertificate {
  const next = newAuthority('the next', validFor(systemClock.now(), DAY_MS));
  const path = join(dir, 'trusted.pem');
  replace(path, `${next.cert}${readFileSync(path, 'utf8')}`);
  replace(join(dir, 'trusted.key'), next.key);
  return next;
}

function exchangeServer({ dir }: IdentityYard, authority: KeyedCertificate): void {
  const { cert, key } = certificateBy(authority, { hosts: ['127.0.0.1'] });
  replace(join(dir, 'server.key'), key);
  replace(join(dir, 'server.crt'), cert);
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

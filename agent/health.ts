import type { Env } from '../base/env.ts';
import { json, serveHttpHealth, type HttpHealth, type HttpHealthOptions } from '../base/http-health.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Session } from './session/session.ts';

/**
 * Answers probes and collectors: /livez whenever the process answers at all, /readyz once a coordinator has taken the agent and
 * until it drains (whoever makes a pool smaller takes those first that are not ready), /metrics in numbers.
 * @throws {Fault} CONFIG_INVALID where the address cannot be bound.
 */
export async function serveAgentHealth(
  at: Pick<HttpHealthOptions, 'listen' | 'tls'>,
  { metrics }: Pick<AgentMetrics, 'metrics'>,
  session: Pick<Session, 'registered' | 'ended' | 'serving'>,
  env: Env,
): Promise<HttpHealth> {
  let state: 'dialling' | 'registered' | 'ended' = 'dialling';
  void session.registered.then(() => (state = 'registered'));
  void session.ended.then(() => (state = 'ended'));
  const routes = {
    '/livez': () => json(200, { ok: true }),
    '/readyz': () => {
      const ok = state === 'registered' && session.serving;
      return json(ok ? 200 : 503, { ok, session: state === 'registered' && !ok ? 'draining' : state });
    },
    '/metrics': async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
  };
  return serveHttpHealth({ ...at, routes, log: env.log });
}

import type { Env } from '../../base/env.ts';
import { json, serveHttpHealth, type HttpHealth, type HttpHealthOptions } from '../../base/http-health.ts';
import { reasonOf } from '../../base/thrown.ts';
import { digestOf } from '../digest.ts';
import type { Others } from '../processes/worker.ts';
import type { StoreOf, StoreView } from '../store-view.ts';
import type { DataMetrics } from './data-metrics.ts';

/** What nobody has stored: asking for it shows that the store answers. */
const PROBE = digestOf(Buffer.from('Is anybody there?'));
const PROBE_VIEW: StoreView = { project: 'probe', reads: ['probe'], writes: undefined, producer: '' };
const ANSWER_MS = 3_000;

type Numbers = {
  readonly measured: Pick<DataMetrics, 'metrics'>;
  readonly storeOf: StoreOf;
  /** Their metrics are told with ours. @default there are none */
  readonly others?: Pick<Others, 'ask'> | undefined;
};

/**
 * Answers probes and collectors: /livez whenever the process answers at all, /readyz while the store says what is there, /metrics in
 * numbers. @throws {Fault} CONFIG_INVALID where the address cannot be bound.
 */
export function serveNumbers(
  at: Pick<HttpHealthOptions, 'listen' | 'tls'>,
  { measured: { metrics }, storeOf, others }: Numbers,
  env: Env,
): Promise<HttpHealth> {
  const ready = async () => {
    try {
      await storeOf(PROBE_VIEW).findMissing([PROBE], AbortSignal.timeout(ANSWER_MS));
      return json(200, { ok: true });
    } catch (error) {
      return json(503, { ok: false, store: reasonOf(error) });
    }
  };
  const routes = {
    '/livez': () => json(200, { ok: true }),
    '/readyz': ready,
    '/metrics': async () => {
      const body = others === undefined ? metrics.text() : metrics.textWith(await others.ask({ kind: 'metrics' }));
      return { status: 200, contentType: metrics.contentType, body: await body };
    },
  };
  return serveHttpHealth({ ...at, routes, log: env.log });
}

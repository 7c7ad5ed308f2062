import { credentials, loadPackageDefinition, type ChannelCredentials, type Client, type ServiceClientConstructor } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { systemClock } from '../../base/clock.ts';

/*
 * KEDA's side of its external scalers, as its version 2.20 is: the contract by names and numbers, of which our own definition knows
 * nothing; one connection to all addresses, which are asked in turn; how streams are opened again.
 */

const field = (type: string, id: number, rule?: 'repeated') => ({ type, id, ...(rule === undefined ? {} : { rule }) });
const rpc = (requestType: string, responseType: string, responseStream = false) => ({ requestType, responseType, responseStream });

const CONTRACT = {
  nested: {
    externalscaler: {
      nested: {
        ExternalScaler: {
          methods: {
            IsActive: rpc('ScaledObjectRef', 'IsActiveResponse'),
            StreamIsActive: rpc('ScaledObjectRef', 'IsActiveResponse', true),
            GetMetricSpec: rpc('ScaledObjectRef', 'GetMetricSpecResponse'),
            GetMetrics: rpc('GetMetricsRequest', 'GetMetricsResponse'),
            StreamMetricSpec: rpc('ScaledObjectRef', 'GetMetricSpecResponse', true),
          },
        },
        ScaledObjectRef: {
          fields: { name: field('string', 1), namespace: field('string', 2), scalerMetadata: { keyType: 'string', type: 'string', id: 3 } },
        },
        IsActiveResponse: { fields: { result: field('bool', 1) } },
        GetMetricSpecResponse: { fields: { metricSpecs: field('MetricSpec', 1, 'repeated') } },
        MetricSpec: { fields: { metricName: field('string', 1), targetSize: field('int64', 2), targetSizeFloat: field('double', 3) } },
        GetMetricsRequest: { fields: { scaledObjectRef: field('ScaledObjectRef', 1), metricName: field('string', 2) } },
        GetMetricsResponse: { fields: { metricValues: field('MetricValue', 1, 'repeated') } },
        MetricValue: { fields: { metricName: field('string', 1), metricValue: field('int64', 2), metricValueFloat: field('double', 3) } },
      },
    },
  },
};

type Spec = { readonly metricName: string; readonly targetSize: number; readonly targetSizeFloat: number };
type Value = { readonly metricName: string; readonly metricValue: number; readonly metricValueFloat: number };

/** The four calls of a poll and the push of one ScaledObject. */
export interface Keda extends Disposable {
  /** What one replica is for, and how it is measured. */
  metricSpec(): Promise<Spec>;
  /** What a poll asks, in its order: how many replicas there are to be, as the autoscaler rounds. */
  replicas(spec: Spec): Promise<number>;
  value(metricName: string): Promise<Value>;
  isActive(): Promise<boolean>;
  /** All that was pushed, over streams that are opened again when they break. */
  readonly pushed: readonly boolean[];
  /** Statuses with which streams of pushes ended. */
  readonly ended: readonly number[];
}

export type Shown = { readonly ca: Buffer; readonly key: Buffer; readonly cert: Buffer };

type Calls = Client & Record<string, (request: object, ...rest: readonly unknown[]) => never>;

/** How soon a stream that broke is opened again: 2 s at KEDA. */
const AGAIN_MS = 100;
const POLL_DEADLINE_MS = 30_000;

export function kedaAt(addresses: readonly string[], shown: Shown | undefined, metadata: Readonly<Record<string, string>>): Keda {
  // The types ask for fields of services, too, which have none.
  const defined = loadPackageDefinition(
    fromJSON(CONTRACT as unknown as Parameters<typeof fromJSON>[0], { longs: Number, defaults: true, keepCase: true }),
  );
  const { ExternalScaler } = defined['externalscaler'] as unknown as { readonly ExternalScaler: ServiceClientConstructor }; // as above
  const secure: ChannelCredentials =
    shown === undefined ? credentials.createInsecure() : credentials.createSsl(shown.ca, shown.key, shown.cert);
  const client = new ExternalScaler(`ipv4:${addresses.join(',')}`, secure, {
    'grpc.service_config': '{"loadBalancingConfig": [{"round_robin":{}}]}',
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
    'grpc.enable_http_proxy': 0,
    ...(shown === undefined ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
  }) as unknown as Calls; // methods by the names above
  const ref = {
    name: 'central-agents',
    namespace: 'switchyard',
    scalerMetadata: { scalerAddress: 'yard:7410', enableTLS: 'true', ...metadata },
  };
  const ask = <T>(method: string, request: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const answered = (error: Error | null, answer: T) => (error === null ? resolve(answer) : reject(error));
      (client[method] as (...args: readonly unknown[]) => void).call(
        client,
        request,
        { deadline: systemClock.now() + POLL_DEADLINE_MS },
        answered,
      );
    });
  const pushed: boolean[] = [];
  const ended: number[] = [];
  let over = false;
  let close = () => {};
  const listen = () => {
    if (over) return;
    type Stream = { on(event: string, run: (what: never) => void): void; cancel(): void };
    const stream = (client['StreamIsActive'] as (request: object) => Stream).call(client, ref);
    close = () => stream.cancel();
    stream.on('data', ({ result }: { readonly result: boolean }) => pushed.push(result));
    stream.on('error', () => {});
    stream.on('status', ({ code }: { readonly code: number }) => {
      ended.push(code);
      setTimeout(listen, AGAIN_MS);
    });
  };
  listen();
  const isActive = async () => (await ask<{ readonly result: boolean }>('IsActive', ref)).result;
  const value = async (metricName: string) => {
    const { metricValues } = await ask<{ readonly metricValues: readonly [Value] }>('GetMetrics', { scaledObjectRef: ref, metricName });
    return metricValues[0];
  };
  return {
    pushed,
    ended,
    isActive,
    value,
    metricSpec: async () => (await ask<{ readonly metricSpecs: readonly [Spec] }>('GetMetricSpec', ref)).metricSpecs[0],
    async replicas({ metricName, targetSize, targetSizeFloat }) {
      const { metricValue, metricValueFloat } = await value(metricName);
      const wanted = metricValueFloat > 0 ? metricValueFloat : metricValue;
      const active = await isActive();
      return active ? Math.max(1, Math.ceil(wanted / (targetSizeFloat > 0 ? targetSizeFloat : targetSize))) : 0;
    },
    [Symbol.dispose]() {
      over = true;
      close();
      client.close();
    },
  };
}

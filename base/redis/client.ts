import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { randomInt } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { backoffMs } from '../backoff.ts';
import { prngFrom } from '../prng.ts';
import type { RedisConfig } from './config.ts';

/** How long it waits before it connects again, with full jitter: a Redis that comes back is not met by everybody at once. */
const RECONNECT = { initialMs: 50, maxMs: 1_000 };

type Common = Omit<RedisOptions, 'replyMapping'>;

/** A client of ioredis for the target, connecting. It queues nothing and sends nothing again by itself. */
export function clientOf(config: RedisConfig, role: string, answerMs: number): Redis | Cluster {
  const { target, sentinelPassword } = config;
  const prng = prngFrom(randomInt(2 ** 48 - 1));
  const retryStrategy = (times: number) => backoffMs(RECONNECT, times - 1, prng);
  const tls = target.tls ? tlsOf(config) : undefined;
  const common: Common = {
    ...(target.user === undefined ? {} : { username: target.user }),
    ...(target.password === undefined ? {} : { password: target.password.reveal() }),
    ...(tls === undefined ? {} : { tls }),
    connectionName: `switchyard-${role}`,
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: answerMs,
    socketTimeout: answerMs,
    keepAlive: 5_000,
    noDelay: true,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // A name may lead to the new master once it is looked up again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
  };
  const offline = { enableOfflineQueue: false };
  switch (target.at.kind) {
    case 'single':
      return new Redis({ ...common, ...offline, ...target.at.host, db: target.database, retryStrategy });
    case 'socket':
      return new Redis({ ...common, ...offline, path: target.at.path, db: target.database, retryStrategy });
    case 'sentinel':
      return new LastingRedis(
        {
          ...common,
          ...offline,
          sentinels: target.at.hosts.map(({ host, port }) => ({ host, port })),
          name: target.at.master,
          db: target.database,
          retryStrategy,
          sentinelRetryStrategy: retryStrategy,
          failoverDetector: true,
          ...(sentinelPassword === undefined ? {} : { sentinelPassword: sentinelPassword.reveal() }),
          ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
        },
        () => retryStrategy(1),
      );
    case 'cluster':
      return new Cluster(
        target.at.hosts.map(({ host, port }) => ({ host, port })),
        {
          ...offline,
          clusterRetryStrategy: retryStrategy,
          clusterNodeRetryStrategy: retryStrategy,
          slotsRefreshTimeout: answerMs,
          slotsRefreshInterval: 2_000,
          maxRedirections: 4,
          retryDelayOnFailover: 50,
          redisOptions: common,
          // A certificate names hosts, and nodes may announce addresses only.
          ...(tls === undefined ? {} : { dnsLookup: (address, done) => done(null, address) }),
        },
      );
  }
}

/**
 * One that connects again until it is told to disconnect. ioredis 6.0 itself gives up for good where it hears of a failover while it
 * asks a sentinel for the master: its `failoverDetector`, still there from the connection before, ends the attempt.
 */
class LastingRedis extends Redis {
  #closed = false;

  constructor(options: Common, delayMs: () => number) {
    super(options);
    this.on('end', () => {
      if (!this.#closed) setTimeout(() => this.#again(), delayMs());
    });
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.#closed = true;
    super.disconnect(reconnect);
  }

  #again(): void {
    // Its errors are told of as those of any attempt.
    if (!this.#closed) this.connect().catch(() => {});
  }
}

function tlsOf({ tls }: RedisConfig): SecureContextOptions & { servername?: string } {
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  };
}

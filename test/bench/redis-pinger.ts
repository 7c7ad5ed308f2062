/** A thread that asks a Redis for PINGs and says, when asked, what it waited at most since it was last asked. */
import { parentPort, workerData } from 'node:worker_threads';
import { Redis } from 'ioredis';
import { hostMicros } from './host-micros.ts';

const PING_EVERY_MS = 5;

if (parentPort !== null && typeof workerData === 'string') {
  const port = parentPort;
  const redis = new Redis(workerData);
  redis.on('error', () => {}); // the Redis ends before this thread
  let longestMs = 0;
  const ping = async (): Promise<void> => {
    const before = hostMicros();
    await redis.ping();
    longestMs = Math.max(longestMs, (hostMicros() - before) / 1000);
    setTimeout(() => void ping().catch(() => {}), PING_EVERY_MS);
  };
  void ping().catch(() => {});
  port.on('message', () => {
    port.postMessage(longestMs);
    longestMs = 0;
  });
}

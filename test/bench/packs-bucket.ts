import { startFakeS3 } from '../fixtures/fake-s3.ts';

// A bucket in a process of its own, so that its work is not counted with ours. Argument: milliseconds before each answer, bytes a
// second of each connection (0: no limit). Ends with its standard input.
const [latencyMs = '0', bytesPerSecond = '0'] = process.argv.slice(2);
const limit = Number(bytesPerSecond);
await using s3 = await startFakeS3({ latencyMs: Number(latencyMs), bytesPerSecond: limit === 0 ? undefined : limit });
process.stdout.write(`${JSON.stringify({ ready: true, endpoint: s3.endpoint, bucket: s3.bucket })}\n`);
process.stdin.resume();
await new Promise<void>((resolve) => process.stdin.once('end', () => resolve()));

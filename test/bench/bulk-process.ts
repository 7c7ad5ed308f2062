/** A process that stores and reads large blobs without a pause until its parent lets go of it. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../base/clock.ts';
import { jsonLogger } from '../../base/log.ts';
import { digestOf } from '../../cache/digest.ts';
import { openDataPlane, type DataPlane } from '../../cache/rpc/client.ts';

export type BulkOrder = { readonly address: string };

const BLOB_BYTES = 8 * 1024 * 1024;
const STREAMS = 4;

async function pump(plane: DataPlane): Promise<never> {
  const never = new AbortController().signal;
  for (;;) {
    const bytes = randomBytes(BLOB_BYTES);
    const digest = digestOf(bytes);
    await plane.store.put(digest, bytes, never);
    for await (const _chunk of plane.store.get(digest, undefined, never));
  }
}

if (process.send !== undefined) {
  process.once('disconnect', () => process.exit(0));
  process.once('message', ({ address }: BulkOrder) => {
    const env = { clock: systemClock, log: jsonLogger('error') };
    const plane = openDataPlane({ link: { address, token: undefined }, instanceName: '', env });
    for (let stream = 0; stream < STREAMS; stream += 1) {
      pump(plane).catch((error: unknown) => {
        process.stderr.write(`bulk: ${String(error)}\n`);
        process.exit(1);
      });
    }
  });
}

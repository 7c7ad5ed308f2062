import fs from 'node:fs';
import path from 'node:path';
import { partitionOf } from '../../cache/owner.ts';
import { blobStoreContract } from '../contract/blob-store.ts';
import { openTestDataPlane } from '../fixtures/data-plane.ts';

blobStoreContract({
  name: 'the data plane over gRPC',
  damageable: true,
  async open() {
    const plane = await openTestDataPlane();
    const grant = plane.grant();
    const { store } = plane.openWith(() => grant, 'web/main');
    return {
      store,
      damage(digest) {
        const file = path.join(plane.dir, 'cas', partitionOf({ project: 'web', scope: 'main' }), digest.slice(0, 2), digest);
        const bytes = fs.readFileSync(file);
        bytes[bytes.byteLength - 1] = (bytes[bytes.byteLength - 1] ?? 0) ^ 1;
        fs.writeFileSync(file, bytes);
      },
      [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
    };
  },
});

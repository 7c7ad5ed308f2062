import { reasonOf } from '../../base/thrown.ts';
import type { S3Config } from '../../cache/objects/s3-options.ts';
import { startFakeS3 } from '../fixtures/fake-s3.ts';
import { startRelay, type Relay } from '../fixtures/relay.ts';
import { sharedS3 } from '../fixtures/s3.ts';

/** The S3 of the laboratory. */
export interface LabStore extends AsyncDisposable {
  /** What it is, for the report. */
  readonly name: string;
  readonly config: S3Config;
  /** Listens for the laboratory at an address, with a link that faults cut. Once. */
  listen(address: string): Promise<Relay>;
}

/**
 * A real S3: the one that SWITCHYARD_TEST_S3 names, else Ceph's of `.cache/tools`, else MinIO in a container. `fake`, and where there is
 * none of them: the small one of our tests, which the report then says.
 */
export async function openLabStore(kind: 'real' | 'fake', say: (line: string) => void): Promise<LabStore> {
  await using stack = new AsyncDisposableStack();
  const found = await serverOf(kind, say);
  stack.use(found);
  const { host, hostname, port } = new URL(found.config.endpoint ?? '');
  const kept = stack.move();
  return {
    name: found.name,
    config: found.config,
    async listen(address) {
      return kept.use(await startRelay(port === '' ? `${hostname}:80` : host, `${address}:0`));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function serverOf(kind: 'real' | 'fake', say: (line: string) => void): Promise<{ name: string; config: S3Config } & AsyncDisposable> {
  if (kind === 'real') {
    try {
      return await sharedS3();
    } catch (error) {
      say(`no real S3 here, so the small one of our tests takes its place: ${reasonOf(error)}`);
    }
  }
  const fake = await startFakeS3();
  return { name: 'the small S3 of our tests, in memory', config: fake.config, [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose]() };
}

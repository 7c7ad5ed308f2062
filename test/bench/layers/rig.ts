import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashToken } from '../../../base/auth.ts';
import type { Env } from '../../../base/env.ts';
import { grantKeyFrom } from '../../../base/grant.ts';
import { Secret } from '../../../base/secret.ts';
import { keptKeyring } from '../../../base/signing.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { openDirectFetcher } from '../../../cache/direct/fetcher.ts';
import type { ObjectStore } from '../../../cache/objects/object-store.ts';
import { openS3Objects } from '../../../cache/objects/s3.ts';
import { openDataPlane } from '../../../cache/rpc/client.ts';
import { startFakeS3 } from '../../fixtures/fake-s3.ts';
import { ROOT } from '../../fixtures/root.ts';
import { startNode, type RunningProcess } from '../../fixtures/run-process.ts';
import type { BucketOrder, BucketTally } from './bucket.ts';
import type { Meter } from './rounds.ts';

export const never = new AbortController().signal;

/** A bucket and a data plane over it, each in a process of its own; this process is the agent. */
export interface Rig extends AsyncDisposable {
  /** The data plane's blobs, as an agent uses them under an attempt's grant: what lies in the bucket it reads from there. */
  readonly store: BlobStore;
  /** The bucket itself, for archives. */
  readonly objects: ObjectStore;
  readonly meter: () => Promise<Awaited<ReturnType<Meter>> & { readonly planeSeconds: number }>;
  /** Of the data plane that runs now. */
  planePid(): number;
  /** Starts the data plane anew with its index and none of the blobs that it keeps on its own disk. */
  coolDown(): Promise<void>;
  /** Holds each connection of the bucket to a rate from now on; undefined takes the limit away. */
  limit(bytesPerSecond: number | undefined): Promise<void>;
}

const GRANT = {
  project: 'bench',
  reads: ['main'],
  writes: 'main',
  agent: 'agent',
  zone: 'trusted',
  token: 'attempt',
  producer: 'bench',
} as const;
const GRANT_MS = 10 * 60_000;

export async function startRig(dir: string, env: Env): Promise<Rig> {
  await using stack = new AsyncDisposableStack();
  const bucket = stack.use(await startBucket());
  // Only for its keys: the bucket that is used runs in the other process.
  const template = stack.use(await startFakeS3());
  const config = { ...template.config, endpoint: bucket.endpoint };
  const objects = stack.use(await openS3Objects({ config, env }, never));
  const planes = stack.use(await startPlanes(path.join(dir, 'plane'), bucket.endpoint));
  const grants = grantKeyFrom(keptKeyring(planes.signingKeyFile));
  const direct = stack.use(openDirectFetcher(env));
  const link = { address: planes.address(), token: new Secret('agent') };
  const client = stack.use(openDataPlane({ link, instanceName: '', env, direct }));
  const grant = () => grants.seal({ ...GRANT, expiresAt: env.clock.now() + GRANT_MS });
  const parts = stack.move();
  return {
    store: client.withGrant('bench/main', grant).store,
    objects,
    async meter() {
      const { requests, bytes } = await bucket.tell({ kind: 'tally' });
      const planeSeconds = planes.cpuSeconds();
      return { requests, bytes, planeSeconds, cpuSeconds: ownSeconds() + planeSeconds };
    },
    planePid: () => planes.pid(),
    async coolDown() {
      await planes.restart();
      client.moveTo(planes.address());
      await client.withGrant('bench/main', grant).store.findMissing([], never);
    },
    limit: async (bytesPerSecond) => void (await bucket.tell({ kind: 'limit', bytesPerSecond })),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

type Bucket = AsyncDisposable & { readonly endpoint: string; readonly tell: (order: BucketOrder) => Promise<BucketTally> };

async function startBucket(): Promise<Bucket> {
  const child: ChildProcess = fork(fileURLToPath(new URL('bucket.ts', import.meta.url)));
  const answer = async () => {
    const [tally] = (await once(child, 'message')) as [BucketTally]; // what bucket.ts sends
    return tally;
  };
  const { endpoint } = await answer();
  return {
    endpoint,
    async tell(order) {
      const told = answer();
      child.send(order);
      return told;
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

type Planes = AsyncDisposable & {
  readonly address: () => string;
  readonly signingKeyFile: string;
  readonly cpuSeconds: () => number;
  readonly pid: () => number;
  readonly restart: () => Promise<void>;
};

/** One data plane after the other, over the same bucket and index. */
async function startPlanes(dir: string, endpoint: string): Promise<Planes> {
  fs.mkdirSync(dir, { recursive: true });
  const signingKeyFile = path.join(dir, 'signing-key.pem');
  const tokensFile = path.join(dir, 'tokens.json');
  const agent = { name: GRANT.agent, sha256: hashToken('agent'), kind: 'agent', cluster: 'bench', pool: 'default', zone: GRANT.zone };
  fs.writeFileSync(tokensFile, JSON.stringify([agent]));
  const where = ['--store', 's3', '--s3-bucket', 'fake-bucket', '--s3-endpoint', endpoint, '--s3-access-key-id', 'fake-access-key'];
  const start = async () => {
    const words = ['--listen', '127.0.0.1:0', '--dir', dir, '--tokens-file', tokensFile, '--signing-key-file', signingKeyFile];
    const options = { stdin: 'pipe', env: { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: 'fake-secret-key' } } as const;
    const plane = startNode([path.join(ROOT, 'cache/main.ts'), ...words, ...where, '--log-level', 'warn'], options);
    return { plane, address: String((await plane.ready())['address']) };
  };
  let current = await start();
  let spent = 0;
  const end = async ({ plane }: { readonly plane: RunningProcess }) => {
    spent += secondsOf(plane.pid);
    plane.closeStdin();
    await plane.ended;
    await plane[Symbol.asyncDispose]();
  };
  return {
    address: () => current.address,
    signingKeyFile,
    cpuSeconds: () => spent + secondsOf(current.plane.pid),
    pid: () => current.plane.pid,
    async restart() {
      await end(current);
      fs.rmSync(path.join(dir, 'cas'), { recursive: true, force: true });
      current = await start();
    },
    [Symbol.asyncDispose]: () => end(current),
  };
}

/** Linux counts processor time in hundredths of a second. */
const TICKS = 100;

/** User and system time of a process so far, with that of the children that it has waited for. */
function secondsOf(pid: number | 'self'): number {
  const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(words[at]), 0) / TICKS;
}

function ownSeconds(): number {
  return secondsOf('self');
}

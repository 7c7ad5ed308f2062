import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { startNode } from '../fixtures/run-process.ts';
import { noOps, startBenchYard, type BenchYard } from './bench-yard.ts';
import { median, percentile, type Bench, type Figure } from './bench.ts';
import { startLoadAgents, type LoadAgents } from './load-agent-processes.ts';
import { openLoop, type OpenLoop } from './subject.ts';

const LATENCIES_MS = [0, 2_000] as const;
/** Steps a second: those that are timed, and those beside them whose results go into the bucket. */
const RATE = 20;
const BESIDE = 5;
const ROUNDS = 4;
const ROUND_SECONDS = 10;
const SECRET = 'fake-secret-key';

type Subject = { readonly name: string; readonly yard: BenchYard; readonly load: LoadAgents; readonly loops: OpenLoop[] };

/**
 * What steps wait for whose coordinator has a bucket that takes two seconds for each answer, beside one whose bucket answers at once. All
 * the time other steps end in both whose results are written there: each is an object, so that ten of them are on their way at any time.
 */
export const slowStoreBench: Bench = {
  name: 'slow-store',
  about: 'submit → started while results go to a bucket that takes 2 s an answer, and to one that is quick (SQLite)',
  knowsPeers: false,
  async *run({ quick }) {
    await using stack = new AsyncDisposableStack();
    const subjects: Subject[] = [];
    for (const latencyMs of LATENCIES_MS) subjects.push(await startSubject(latencyMs, stack));
    for (const subject of subjects) await round(subject, 2);
    for (let count = 0; count < (quick ? 1 : ROUNDS); count += 1) {
      for (const subject of subjects) subject.loops.push(await round(subject, quick ? 2 : ROUND_SECONDS));
    }
    for (const { name, loops } of subjects) yield* figuresOf(name, loops);
    const [quickOnes = [], slowOnes = []] = subjects.map(({ loops }) => loops.flatMap(({ latenciesMs }) => latenciesMs));
    yield { case: 'slow : quick', metric: 'p50', value: median(slowOnes) / median(quickOnes), unit: '×' };
  },
};

async function startSubject(latencyMs: number, stack: AsyncDisposableStack): Promise<Subject> {
  const program = fileURLToPath(new URL('packs-bucket.ts', import.meta.url));
  const bucket = stack.use(startNode([program, String(latencyMs)], { stdin: 'pipe' }));
  const at = await bucket.ready();
  const flags = ['--store', 's3', '--s3-endpoint', String(at['endpoint']), '--s3-bucket', String(at['bucket'])];
  const keys = { SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY: SECRET };
  const yard = stack.use(
    await startBenchYard({ ledger: { kind: 'sqlite' }, flags: [...flags, '--s3-access-key-id', 'fake-access-key'], env: keys }),
  );
  const load = stack.use(await startLoadAgents({ address: yard.address, token: yard.token, count: 2, perProcess: 2, slots: 4 }));
  return { name: `a bucket that answers after ${latencyMs / 1_000} s`, yard, load, loops: [] };
}

async function round({ yard: { server }, load }: Subject, seconds: number): Promise<OpenLoop> {
  const never = new AbortController().signal; // a call that hangs ends by its deadline
  const submit = async (cacheable: boolean) => {
    const steps = noOps(1).map((step) => ({ ...step, cacheable, env: { NUMBER: randomUUID() } }));
    const { id } = await server.submit({ idempotencyKey: randomUUID(), name: 'one', steps }, never);
    return `${id}/step-0`;
  };
  const beside = setInterval(() => void submit(true).catch(() => {}), 1_000 / BESIDE);
  try {
    return await openLoop(load.starts, () => submit(false), RATE, seconds);
  } finally {
    clearInterval(beside);
  }
}

function* figuresOf(name: string, loops: readonly OpenLoop[]): Generator<Figure> {
  const samples = loops.flatMap(({ latenciesMs }) => latenciesMs);
  yield { case: name, metric: 'submit → started, p50', value: median(samples), unit: 'ms' };
  yield { case: name, metric: 'submit → started, p99', value: percentile(samples, 0.99), unit: 'ms' };
  yield { case: name, metric: 'lost', value: loops.reduce((sum, { lost }) => sum + lost, 0), unit: `of ${samples.length}` };
}

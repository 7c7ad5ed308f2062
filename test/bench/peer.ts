import { assert } from '../../base/assert.ts';
import type { Drain, OpenLoop, Subject } from './subject.ts';

/** What the peer is told, and must do. `README.md` beside this file is the contract. */
type PeerCall =
  | { readonly path: '/start'; readonly body: { readonly redis: string; readonly workers: number; readonly concurrency: number } }
  | { readonly path: '/open-loop'; readonly body: { readonly rate: number; readonly seconds: number } }
  | { readonly path: '/drain'; readonly body: { readonly count: number } }
  | { readonly path: '/stop'; readonly body: object };

const CALL_MS = 300_000;

/** A job queue of somebody else's, behind an endpoint that speaks the contract, as something to measure. */
export async function startPeer(endpoint: string, redis: string, workers: number, concurrency: number): Promise<Subject> {
  const call = async ({ path, body }: PeerCall): Promise<Readonly<Record<string, unknown>>> => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await fetch(new URL(path, endpoint), { ...init, signal: AbortSignal.timeout(CALL_MS) });
    const json: unknown = await response.json();
    if (!response.ok || typeof json !== 'object' || json === null) throw new Error(`The peer answered ${response.status} to ${path}`);
    return { ...json };
  };
  const { name } = await call({ path: '/start', body: { redis, workers, concurrency } });
  return {
    name: String(name),
    async openLoop(rate, seconds): Promise<OpenLoop> {
      const { latenciesMs, lost, doubled } = await call({ path: '/open-loop', body: { rate, seconds } });
      assert(Array.isArray(latenciesMs), 'the peer answers with latenciesMs');
      return { latenciesMs: latenciesMs.map(Number), lost: Number(lost), doubled: Number(doubled) };
    },
    async drain(count): Promise<Drain> {
      const { seconds, lost, doubled } = await call({ path: '/drain', body: { count } });
      return { seconds: Number(seconds), lost: Number(lost), doubled: Number(doubled) };
    },
    [Symbol.asyncDispose]: async () => void (await call({ path: '/stop', body: {} })),
  };
}

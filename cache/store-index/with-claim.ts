import type { StoreIndex } from './store-index.ts';

export type Claim = {
  readonly task: string;
  readonly holder: string;
  /** For so long nobody else begins the task after its holder was last heard of. */
  readonly leaseMs: number;
};

/**
 * Does the work if the holder gets the task, and whether it did. The claim is renewed while the work goes on, and stays for the rest of
 * its lease afterwards. One that is lost meanwhile, as to another epoch of the index, does not end the work: see `StoreIndex.claim`.
 * @throws {Fault} STORE_UNAVAILABLE where the index cannot be asked; as `work`
 */
export async function withClaim(
  index: Pick<StoreIndex, 'claim'>,
  { task, holder, leaseMs }: Claim,
  work: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<boolean> {
  if (!(await index.claim(task, holder, leaseMs, signal))) return false;
  const renewal = setInterval(() => void index.claim(task, holder, leaseMs, signal).catch(() => {}), leaseMs / 3);
  try {
    await work();
  } finally {
    clearInterval(renewal);
  }
  return true;
}

import { reasonOf } from '../../base/thrown.ts';
import { Deviation, type Area, type Check } from './check.ts';
import { actionCache } from './checks/action-cache.ts';
import { byteStream } from './checks/byte-stream.ts';
import { capabilities } from './checks/capabilities.ts';
import { cas } from './checks/cas.ts';
import { execution } from './checks/execution.ts';
import { remoteAsset } from './checks/remote-asset.ts';
import { Session, type Endpoint } from './session.ts';

const AREAS: readonly Area[] = [capabilities, ...cas, ...byteStream, ...actionCache, remoteAsset, execution];

export type Verdict =
  | { readonly kind: 'holds' }
  | { readonly kind: 'deviates'; readonly how: string }
  /** It does not apply to this server. */
  | { readonly kind: 'exempt'; readonly why: string };

export type Finding = { readonly area: string; readonly check: Check; readonly verdict: Verdict };

/**
 * Runs the checks against a server, one after the other, and tells of each at once. They store random blobs, and results under random
 * keys, which they leave behind. @throws {Error} where the server cannot be asked what it can do
 */
export async function runSuite(endpoint: Endpoint, tell: (finding: Finding) => void = () => {}): Promise<readonly Finding[]> {
  using session = await Session.open(endpoint, endpoint.token);
  using reader = endpoint.readerToken === undefined ? undefined : await Session.open(endpoint, endpoint.readerToken);
  const findings: Finding[] = [];
  for (const { name: area, checks, unlessUnimplemented } of AREAS) {
    const probe = await unlessUnimplemented?.(session);
    const isAbsent = probe?.kind === 'error' && probe.code === 'UNIMPLEMENTED';
    for (const check of checks) {
      const verdict: Verdict = isAbsent ? { kind: 'exempt', why: 'the service is not there' } : await verdictOf(check, session, reader);
      const finding = { area, check, verdict };
      tell(finding);
      findings.push(finding);
    }
  }
  return findings;
}

async function verdictOf(check: Check, session: Session, reader: Session | undefined): Promise<Verdict> {
  const why = check.exempt?.(session);
  if (why !== undefined) return { kind: 'exempt', why };
  try {
    await check.run(session, reader);
    return { kind: 'holds' };
  } catch (error) {
    if (error instanceof Deviation) return { kind: 'deviates', how: error.message };
    return { kind: 'deviates', how: `the check could not end: ${reasonOf(error)}` };
  }
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAgentConfig } from '../../agent/config.ts';
import { startAgent } from '../../agent/start.ts';
import { hashToken, type Identity } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { parseCoordinatorConfig } from '../../coordinator/config.ts';
import { startCoordinator } from '../../coordinator/start.ts';
import { formatTokens } from '../../coordinator/tokens.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import type { Endpoint } from './session.ts';

export interface EmbeddedServer extends AsyncDisposable {
  readonly endpoint: Endpoint;
}

/** A yard of ours on loopback, coordinator, data plane and one agent, with a caller that may run actions and one that only reads. */
export async function startEmbedded(): Promise<EmbeddedServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir()).path;
  const callerOf = (name: string, role: 'submitter' | 'viewer'): Identity => {
    return { kind: 'caller', caller: { name, role, project: 'web', scope: 'main', zoneCeiling: 'trusted' } };
  };
  const identities: Readonly<Record<string, Identity>> = {
    writer: callerOf('writer', 'submitter'),
    reader: callerOf('reader', 'viewer'),
    agent: { kind: 'agent', name: 'agent', cluster: 'c1', pool: 'edge', zone: 'trusted' },
  };
  const [tokens, own] = [join(dir, 'tokens.json'), join(dir, 'agent-token')];
  await writeFile(tokens, formatTokens(Object.entries(identities).map(([token, identity]) => ({ sha256: hashToken(token), identity }))));
  await writeFile(own, 'agent', { mode: 0o600 });
  const env = { log: silentLogger, clock: systemClock };
  const listen = ['--listen', '127.0.0.1:0', '--data-listen', '127.0.0.1:0', '--no-allow-local', '--ledger', 'memory'];
  const places = ['--tokens-file', tokens, '--state-dir', join(dir, 'state')];
  const coordinator = stack.use(await startCoordinator(parseCoordinatorConfig({}, [...listen, ...places]), env));
  const home = ['--coordinator', coordinator.address, '--token-file', own, '--work-dir', join(dir, 'agent'), '--sandbox', 'process'];
  const agent = stack.use(await startAgent(parseAgentConfig({}, ['--id', 'one', '--slots', '2', ...home]), process.env, env));
  await agent.session.registered;
  const held = stack.move();
  return {
    endpoint: { address: coordinator.dataAddress, instance: 'web/main', token: 'writer', readerToken: 'reader' },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

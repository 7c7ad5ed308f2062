import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isLoopback } from '../base/address.ts';
import { unreachable } from '../base/assert.ts';
import { exchangeable, parseTokens, tokenAuthenticator, type Authenticator, type Identity } from '../base/auth.ts';
import { exchangeableDenials, parseDenials, withDenials, type Denial, type Denials } from '../base/denials.ts';
import type { Env } from '../base/env.ts';
import { Fault } from '../base/fault.ts';
import { grantKeyFrom, type GrantKey } from '../base/grant.ts';
import { openTokenVerifier, withIssuedTokens } from '../base/oidc/verifier.ts';
import { exchangeableKeyring, keptKeyring, type Keyring } from '../base/signing.ts';
import { openDialTls, openServeTls } from '../base/tls-options.ts';
import { reasonOf } from '../base/thrown.ts';
import { vouchingBy } from '../base/vouch.ts';
import { watchForChange } from '../base/watch-file.ts';
import { serve } from '../proto/serve.ts';
import type { CacheConfig } from './config.ts';
import { openDataMetrics, type DataMetrics } from './metrics/data-metrics.ts';
import { serveNumbers } from './metrics/serve-numbers.ts';
import { removeOldResults } from './old-results.ts';
import { parseFloors, parseQuotas } from './quotas.ts';
import { openRefusals, type HeldRefusals } from './refusals.ts';
import { openExecutionRelay } from './rpc/execution-relay.ts';
import type { Question } from './processes/messages.ts';
import type { Others } from './processes/worker.ts';
import { openGrants, takeGrants, type Grants } from './rpc/grants.ts';
import { serveTools } from './rpc/serve-tools.ts';
import { dataPlaneServices } from './rpc/services.ts';
import { openStack } from './stack.ts';
import { bucketFrom } from './store-options.ts';
import { newBlobCounters, withBlobCounts } from './with-blob-counts.ts';

/** The data plane, serving. Disposal lets calls under way finish for a few seconds. */
export interface RunningCache extends AsyncDisposable {
  /** host:port as bound. */
  readonly address: string;
  /** Where build tools' own HTTP caches are served, where that was asked for. */
  readonly httpAddress: string | undefined;
  /** Where probes and metrics are answered, where that was asked for. */
  readonly metricsAddress: string | undefined;
  /** From now on actions that build tools want run are handed on to the coordinator there. */
  relayTo(coordinator: string): void;
}

const DRAIN_MS = 3_000;

/**
 * Opens the stores and listens. `others`: where this is one process of several.
 * @throws {Fault} CONFIG_INVALID for the address, the tokens, the signing keys, or an address off loopback without tokens;
 * STORE_UNAVAILABLE
 */
export async function startCache(config: CacheConfig, env: Env, others?: Others): Promise<RunningCache> {
  await using stack = new AsyncDisposableStack();
  const denials = keptDenials(config, env, stack);
  const authenticator = keptAuthenticator(config, env, stack);
  const { keys, grantKey } = keptSigningKeys(config, env, stack);
  const measured = stack.use(openDataMetrics(others?.name));
  const removed = removeOldResults(config.dir, env);
  stack.defer(() => removed);
  const disk = stack.use(
    await openStack(
      {
        ...config,
        keys,
        measures: measured.measures,
        keepMs: config.keepUnused,
        quotaOf: parseQuotas(config.scopeQuota),
        floorOf: parseFloors(config.scopeZone),
        bucket: bucketFrom(config),
      },
      env,
    ),
  );
  const grants = openGrants(config.signingKeyFile === undefined ? undefined : grantKey, env.clock);
  const refusals = stack.use(openRefusals(env));
  others?.answerBy((question) => answerTo(question, grants, measured, refusals));
  const blobs = newBlobCounters();
  const storeOf = withBlobCounts(disk.storeOf, blobs);
  measured.watch(disk.state, blobs);
  const tls = stack.use(openServeTls(config, env.log));
  const dialled = stack.use(openDialTls({ tlsCa: config.tlsCa, tlsCert: undefined, tlsKey: undefined }, env.log));
  const dialTls = dialled && { source: dialled, serverName: config.tlsServerName };
  const execution = stack.use(openExecutionRelay(config.coordinator, env, dialTls, vouchingBy(keys)));
  const served = stack.use(
    dataPlaneServices({
      grants,
      others,
      storeOf,
      actionCache: disk.actionCache,
      entries: disk.entries,
      direct: disk.direct,
      staging: disk.staging,
      execution,
      refusals,
      env: { ...env, onCall: measured.called },
    }),
  );
  const { listen, httpListen, metricsListen } = config;
  const common = { authenticator, tls, drainMs: DRAIN_MS };
  const connections = measured.connections.grpc;
  const server = stack.use(await serve({ ...common, listen, services: served.services, denials, audit: refusals, env, connections }));
  // `serve` asks for denials itself.
  const admitted = denials === undefined ? authenticator : withDenials(authenticator, denials);
  const tools = { ...common, ...toolsOf(config, measured), authenticator: admitted, audit: refusals, store: { ...disk, storeOf } };
  const http = httpListen === undefined ? undefined : stack.use(await serveTools({ ...tools, listen: httpListen }, env));
  const numbers = { measured, storeOf, others };
  const health = metricsListen === undefined ? undefined : stack.use(await serveNumbers({ listen: metricsListen, tls }, numbers, env));
  const parts = stack.move();
  return {
    address: server.address,
    httpAddress: http?.address,
    metricsAddress: health?.address,
    relayTo: (coordinator) => execution.relayTo(coordinator),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** What another process of the data plane is told. */
function answerTo(question: Question, grants: Grants, { metrics }: DataMetrics, refusals: HeldRefusals): unknown {
  switch (question.kind) {
    case 'metrics':
      return metrics.snapshot();
    case 'grants':
      return takeGrants(grants, question);
    case 'refusals':
      return refusals.take(question.kept);
    default:
      return unreachable(question);
  }
}

/**
 * The keys in their file, also after it has changed. Grants are taken by the keys of now and by those of the start: the coordinator goes on
 * with what it has read until it is started again, and others may have been by then.
 */
function keptSigningKeys(
  config: CacheConfig,
  env: Env,
  stack: AsyncDisposableStack,
): { readonly keys: Keyring; readonly grantKey: GrantKey } {
  const path = config.signingKeyFile ?? join(config.dir, 'signing-key.pem');
  if (config.signingKeyFile === undefined) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const keys = exchangeableKeyring(keptKeyring(path));
  const first = grantKeyFrom(keys);
  let newest = first;
  const reread = () => {
    try {
      keys.exchange(keptKeyring(path));
      newest = grantKeyFrom(keys);
      env.log.info('signing-keys-reread', { path, key: keys.keyId, keys: keys.keyIds });
    } catch (error) {
      env.log.error('signing-keys-not-reread', { path, error });
    }
  };
  stack.use(watchForChange(path, reread));
  const open: GrantKey['open'] = (text, now) => {
    const verdict = newest.open(text, now);
    return verdict.kind === 'bad' ? first.open(text, now) : verdict;
  };
  return { keys, grantKey: { seal: (grant) => newest.seal(grant), open } };
}

/** Who calls, by the file as it is. @throws {Fault} CONFIG_INVALID */
function keptAuthenticator(config: CacheConfig, env: Env, stack: AsyncDisposableStack): Authenticator {
  const authenticator = exchangeable(authenticatorOf(config));
  const { tokensFile: path } = config;
  if (path !== undefined) {
    const reread = () => {
      try {
        authenticator.exchange(authenticatorOf(config));
        env.log.info('tokens-reread', { path });
      } catch (error) {
        env.log.error('tokens-not-reread', { path, error });
      }
    };
    stack.use(watchForChange(path, reread));
  }
  const verifier = config.issuersFile === undefined ? undefined : stack.use(openTokenVerifier(config.issuersFile, env));
  return verifier === undefined ? authenticator : withIssuedTokens(authenticator, verifier);
}

/**
 * Who is refused, by the file as it is. Nobody where it does not exist at the start: the first coordinator has yet to write it. A file that
 * is damaged or gone later changes nothing. @throws {Fault} CONFIG_INVALID where it cannot be used at the start
 */
function keptDenials({ denialsFile: path }: CacheConfig, env: Env, stack: AsyncDisposableStack): Denials | undefined {
  if (path === undefined) return undefined;
  const denials = exchangeableDenials(() => env.clock.now());
  let isThere = existsSync(path);
  if (isThere) denials.exchange(readDenials(path));
  const reread = () => {
    if (!isThere && !existsSync(path)) return; // that it is not there yet is told once, too
    try {
      denials.exchange(readDenials(path));
      isThere = true;
    } catch (error) {
      env.log.error('denials-not-reread', { path, error });
    }
  };
  stack.use(watchForChange(path, reread));
  return denials;
}

/** @throws {Fault} CONFIG_INVALID saying what to do: without the list, those who were revoked would be let in */
function readDenials(path: string): readonly Denial[] {
  try {
    return parseDenials(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The file of denials ${path} cannot be used: ${reasonOf(error)}`, {
      cause: error,
      field: 'denialsFile',
      hint: 'Without it, revoked agents would be let in. Remove it where a coordinator on the same ledger starts with it and writes it anew.',
    });
  }
}

function authenticatorOf(config: CacheConfig): Authenticator {
  const entries = config.tokensFile === undefined ? [] : parseTokens(readTokens(config.tokensFile));
  const local = config.allowLocal ? localCaller(config) : undefined;
  if (entries.length === 0 && local === undefined) {
    throw new Fault('CONFIG_INVALID', 'Nobody could connect: give --tokens-file, or --allow-local for callers on this host', {
      field: 'tokensFile',
    });
  }
  for (const field of ['listen', 'httpListen'] as const) {
    const address = config[field];
    if (entries.length > 0 || address === undefined || isLoopback(address)) continue;
    throw new Fault('CONFIG_INVALID', `Listening on ${address} needs --tokens-file: others than this host can reach it`, { field });
  }
  return tokenAuthenticator(entries, local, config);
}

function localCaller({ localProject: project, localScope: scope }: CacheConfig): Identity {
  return { kind: 'caller', caller: { name: 'local', role: 'admin', project, scope, zoneCeiling: 'trusted' } };
}

function readTokens(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The tokens file ${path} cannot be read`, { cause: error, field: 'tokensFile' });
  }
}

function toolsOf({ dir, httpBodyBytes }: CacheConfig, { called, connections }: DataMetrics) {
  return { dir, bodyBytesMax: httpBodyBytes, onCall: called, connections: connections.http };
}

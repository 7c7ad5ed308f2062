import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { hashToken, tokenAuthenticator, type Authenticator, type Identity } from '../../../base/auth.ts';
import { scopeChain } from '../../../base/caller.ts';
import { systemClock } from '../../../base/clock.ts';
import { GRANT_METADATA, grantKeyFrom, type GrantKey } from '../../../base/grant.ts';
import { silentLogger } from '../../../base/log.ts';
import { Secret } from '../../../base/secret.ts';
import { freshKeyring } from '../../../base/signing.ts';
import type { Zone } from '../../../base/zone.ts';
import { decodeStepResult, encodeStepResult } from '../../../cache/action/action-result.ts';
import type { StepResult } from '../../../cache/action/result.ts';
import type { Digest } from '../../../cache/digest.ts';
import { openDataPlane, type DataPlane, type DataPlaneClients, type MovableDataPlane } from '../../../cache/rpc/client.ts';
import { entryFromProto, entryToProto } from '../../../cache/rpc/entry-convert.ts';
import { openGrants } from '../../../cache/rpc/grants.ts';
import { writeName } from '../../../cache/rpc/resource-name.ts';
import type { DataPlaneParts } from '../../../cache/rpc/service.ts';
import { dataPlaneServices } from '../../../cache/rpc/services.ts';
import { openDiskStack } from '../../../cache/stack.ts';
import { digestToProto } from '../../../proto/convert.ts';
import { callClientStream, callUnary, dial } from '../../../proto/dial.ts';
import type { DirectTransferClient } from '../../../proto/gen/switchyard/v1/DirectTransfer.ts';
import type { EntryCacheClient } from '../../../proto/gen/switchyard/v1/EntryCache.ts';
import type { PlanReadsResponse__Output } from '../../../proto/gen/switchyard/v1/PlanReadsResponse.ts';
import { loadProto } from '../../../proto/load.ts';
import { serve } from '../../../proto/serve.ts';
import { faultFromRpcStatus } from '../../../proto/status.ts';
import { entryOf, nameOf } from '../../contract/entry-store.ts';

export const PROJECT = 'web';

/** What the store holds, unless told otherwise. */
export const WORLD_BYTES = 2 ** 24;

/** A trusted branch, work on it by two others, one of them below the other, and a release that stands beside. */
export const SCOPES = ['main', 'main/pr-7', 'main/pr-7/try', 'main/pr-8', 'release'] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * How an attempt stands: `live` is as it should be. The others show a grant of a lease that is over, that has run out, that was issued to
 * another agent, or that somebody made up.
 */
export type Standing = 'live' | 'ended' | 'expired' | 'stolen' | 'forged';

export type Actor =
  | { readonly kind: 'caller'; readonly scope: Scope }
  | { readonly kind: 'attempt'; readonly scope: string; readonly standing: Standing }
  /** The coordinator, for builds of the scope. */
  | { readonly kind: 'coordinator'; readonly scope: string };

/** Puts a fault of a kind into the data plane. */
export type Plant = (parts: Planted, key: GrantKey) => Planted;

/** What a fault can be planted in. */
type Planted = DataPlaneParts & { readonly authenticator: Authenticator };

/** The data plane's services over gRPC, on disk, and everybody who may call them. */
export interface World extends AsyncDisposable {
  /** The data plane as the actor has it, under the instance name of scope `at`. `run` keeps attempts of different runs apart. */
  as(actor: Actor, at: string, run: string): DataPlane;
  /** Sends the bytes under the digest, whether it is theirs or not: what our own client would not do. */
  upload(actor: Actor, at: string, run: string, digest: Digest, bytes: Uint8Array): Promise<void>;
  /** Asks where blobs are in the bucket. */
  plan(actor: Actor, at: string, run: string, digests: readonly Digest[]): Promise<PlanReadsResponse__Output>;
  /** Keeps a dependency cache under the key. */
  keep(actor: Actor, at: string, run: string, key: string, value: StepResult): Promise<void>;
  /** The dependency cache of the key, else the newest one whose key begins with a prefix. */
  find(actor: Actor, at: string, run: string, key: string, prefixes: readonly string[]): Promise<StepResult | undefined>;
  /** Ends the run's live attempt in the scope. */
  end(run: string, scope: string): void;
}

type RawClients = Pick<DataPlaneClients, 'cas' | 'bytes'> & { readonly direct: DirectTransferClient; readonly entries: EntryCacheClient };

export type WorldOptions = { readonly plant?: Plant; readonly maxBytes?: number };

/** Which scopes' writers may have a say in what `scope` sees. */
export function influencesOf(scope: Scope): readonly string[] {
  return scopeChain(scope);
}

const ZONES_OF_AGENTS = ['untrusted', 'trusted'] as const satisfies readonly Zone[];

function identities(): readonly (readonly [token: string, identity: Identity])[] {
  const callers = SCOPES.map((scope) => {
    const zoneCeiling: Zone = scope.includes('/') ? 'untrusted' : 'trusted';
    const caller = { name: scope.replaceAll('/', '.'), role: 'submitter', project: PROJECT, scope, zoneCeiling } as const;
    return [`caller:${scope}`, { kind: 'caller', caller }] as const;
  });
  const agents = ZONES_OF_AGENTS.map((zone) => [`agent:${zone}`, agentOf(zone)] as const);
  return [...callers, ...agents, ['service', { kind: 'service', name: 'coordinator' }]];
}

function agentOf(zone: Zone): Extract<Identity, { kind: 'agent' }> {
  return { kind: 'agent', name: `agent-${zone}`, cluster: 'c', pool: 'p', zone };
}

export async function openWorld({ plant = (parts) => parts, maxBytes = WORLD_BYTES }: WorldOptions = {}): Promise<World> {
  const env = { log: silentLogger, clock: systemClock };
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'world-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => fs.rmSync(dir, { recursive: true, force: true }));
  const disk = stack.use(openDiskStack({ dir, maxBytes, maxResultBytes: 2 ** 26, durability: 'process', keys: freshKeyring() }, env));
  const tokens = identities().map(([token, identity]) => ({ sha256: hashToken(token), identity }));
  const key = grantKeyFrom(freshKeyring());
  const grants = openGrants(key, env.clock);
  const { storeOf, actionCache, entries } = disk;
  const planted = plant({ authenticator: tokenAuthenticator(tokens, undefined), grants, storeOf, actionCache, entries, env }, key);
  const served = stack.use(dataPlaneServices(planted));
  const server = stack.use(
    await serve({ listen: '127.0.0.1:0', services: served.services, authenticator: planted.authenticator, env, drainMs: 500 }),
  );
  const clients = new Map<string, MovableDataPlane>();
  const parts = stack.move();
  const client = (token: string): MovableDataPlane => {
    const link = { address: server.address, token: new Secret(token) };
    // Without patience: what is refused is refused.
    const known = clients.get(token) ?? parts.use(openDataPlane({ link, instanceName: '', env, patienceMs: 0 }));
    clients.set(token, known);
    return known;
  };
  const grantFor = (scope: string, standing: Standing, run: string): string => {
    const zone: Zone = scope.includes('/') ? 'untrusted' : 'trusted';
    const token = `${run}:${scope}:${standing}`;
    if (standing === 'ended') planted.grants.end([token]);
    const expiresAt = env.clock.now() + (standing === 'expired' ? -60_000 : 60_000);
    const terms = {
      project: PROJECT,
      reads: scopeChain(scope),
      writes: scope,
      agent: agentOf(zone).name,
      zone,
      token,
      producer: run,
      expiresAt,
    };
    return (standing === 'forged' ? grantKeyFrom(freshKeyring()) : key).seal(terms);
  };
  const raw = new Map<string, RawClients>();
  const rawOf = (token: string): RawClients => {
    const link = { address: server.address, token: new Secret(token) };
    const { build, google, switchyard } = loadProto();
    const known = raw.get(token) ?? {
      cas: parts.adopt(dial(build.bazel.remote.execution.v2.ContentAddressableStorage, link, 'bulk'), (open) => open.close()),
      bytes: parts.adopt(dial(google.bytestream.ByteStream, link, 'bulk'), (open) => open.close()),
      direct: parts.adopt(dial(switchyard.v1.DirectTransfer, link, 'control'), (open) => open.close()),
      entries: parts.adopt(dial(switchyard.v1.EntryCache, link, 'control'), (open) => open.close()),
    };
    raw.set(token, known);
    return known;
  };
  const shownBy = (actor: Actor, run: string): { readonly token: string; readonly grant: string | undefined } => {
    if (actor.kind === 'caller') return { token: `caller:${actor.scope}`, grant: undefined };
    if (actor.kind === 'coordinator') return { token: 'service', grant: undefined };
    const own = actor.scope.includes('/') ? 'untrusted' : 'trusted';
    const shown = actor.standing === 'stolen' ? (own === 'trusted' ? 'untrusted' : 'trusted') : own;
    return { token: `agent:${shown}`, grant: grantFor(actor.scope, actor.standing, run) };
  };
  const callOf = (actor: Actor, at: string, run: string) => {
    const { token, grant } = shownBy(actor, run);
    const options = { signal: new AbortController().signal, ...(grant === undefined ? {} : { metadata: { [GRANT_METADATA]: grant } }) };
    return { raw: rawOf(token), options, instanceName: `${PROJECT}/${at}` };
  };
  return {
    end: (run, scope) => planted.grants.end([`${run}:${scope}:live`]),
    as(actor, at, run) {
      const { token, grant } = shownBy(actor, run);
      return grant === undefined
        ? client(token).withInstance(`${PROJECT}/${at}`)
        : client(token).withGrant(`${PROJECT}/${at}`, () => grant);
    },
    plan(actor, at, run, digests) {
      const call = callOf(actor, at, run);
      const request = { instanceName: call.instanceName, digests: digests.map(digestToProto) };
      return callUnary(call.raw.direct, 'planReads', request, call.options);
    },
    async keep(actor, at, run, key, value) {
      const call = callOf(actor, at, run);
      const name = nameOf(key, at, 'dependency', PROJECT);
      const entry = { ...entryOf(name, '', { build: run }), value: Buffer.from(encodeStepResult(value)) };
      const request = { instanceName: call.instanceName, entry: entryToProto(entry, true), replace: false };
      await callUnary(call.raw.entries, 'putEntry', request, call.options);
    },
    async find(actor, at, run, key, prefixes) {
      const call = callOf(actor, at, run);
      const request = { instanceName: call.instanceName, kind: 'ENTRY_KIND_DEPENDENCY' as const, key, prefixes: [...prefixes] };
      const { entry } = await callUnary(call.raw.entries, 'findEntry', request, call.options);
      return entry === null ? undefined : decodeStepResult(entryFromProto(PROJECT, entry, 'entry').value);
    },
    async upload(actor, at, run, digest, bytes) {
      const { raw: clients, options, instanceName } = callOf(actor, at, run);
      if (bytes.byteLength < 100_000) {
        const requests = [{ digest: digestToProto(digest), data: bytes }];
        const answer = await callUnary(clients.cas, 'batchUpdateBlobs', { instanceName, requests }, options);
        const fault = faultFromRpcStatus(answer.responses[0]?.status ?? null);
        if (fault !== undefined) throw fault;
        return;
      }
      const messages = async function* () {
        yield { resourceName: writeName(instanceName, digest, 'upload'), data: bytes, finishWrite: true };
      };
      await callClientStream(clients.bytes, 'write', messages(), options);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

import type { Identity } from '../base/auth.ts';
import { hasRole, type Role } from '../base/caller.ts';
import { Fault } from '../base/fault.ts';
import type { FetchHandlers } from './gen/build/bazel/remote/asset/v1/Fetch.ts';
import type { PushHandlers } from './gen/build/bazel/remote/asset/v1/Push.ts';
import type { ActionCacheHandlers } from './gen/build/bazel/remote/execution/v2/ActionCache.ts';
import type { CapabilitiesHandlers } from './gen/build/bazel/remote/execution/v2/Capabilities.ts';
import type { ContentAddressableStorageHandlers } from './gen/build/bazel/remote/execution/v2/ContentAddressableStorage.ts';
import type { ExecutionHandlers } from './gen/build/bazel/remote/execution/v2/Execution.ts';
import type { ExternalScalerHandlers } from './gen/externalscaler/ExternalScaler.ts';
import type { ByteStreamHandlers } from './gen/google/bytestream/ByteStream.ts';
import type { OperationsHandlers } from './gen/google/longrunning/Operations.ts';
import type { AgentHandlers } from './gen/switchyard/v1/Agent.ts';
import type { BuildHandlers } from './gen/switchyard/v1/Build.ts';
import type { DataAccessHandlers } from './gen/switchyard/v1/DataAccess.ts';
import type { DirectTransferHandlers } from './gen/switchyard/v1/DirectTransfer.ts';
import type { EntryCacheHandlers } from './gen/switchyard/v1/EntryCache.ts';
import type { IdentityHandlers } from './gen/switchyard/v1/Identity.ts';

/**
 * Who may call an rpc at all; what of a project, scope or zone the call may touch is decided where that is known. `open` is for
 * everybody who can connect. `role` is the least of callers; without it no caller may.
 */
export type Permission =
  | 'open'
  | { readonly role: Role | undefined; readonly agent: boolean; readonly service: boolean; readonly scaler: boolean };

type Kind = 'agent' | 'service' | 'scaler';

/** Callers of that role and above, and the other kinds of identity that are named. */
function from(role: Role | undefined, ...kinds: readonly Kind[]): Permission {
  return { role, agent: kinds.includes('agent'), service: kinds.includes('service'), scaler: kinds.includes('scaler') };
}

/** The rpcs of a service by its generated type: one without a permission, or a permission without an rpc, does not compile. */
type Rpcs<Handlers> = Readonly<
  Record<keyof { [K in keyof Handlers as string extends K ? never : number extends K ? never : K]: 0 }, Permission>
>;

const everybody = from('viewer', 'agent', 'service');
const writers = from('submitter', 'agent', 'service');
const viewers = from('viewer');
const submitters = from('submitter');
const operators = from('operator');
const admins = from('admin');

const BUILD: Rpcs<BuildHandlers> = {
  GetServer: viewers,
  SubmitBuild: submitters,
  GetBuild: viewers,
  ListBuilds: viewers,
  WatchBuild: viewers,
  CancelBuild: submitters,
  RetryStep: submitters,
  StreamLog: viewers,
  ExplainStep: viewers,
  ListAgents: operators,
  SetHold: operators,
  ScaleIn: operators,
  GetTopology: operators,
  GetEnvironment: viewers,
  ListTopologies: operators,
  PlanTopology: operators,
  ApplyTopology: admins,
};

const AGENT: Rpcs<AgentHandlers> = { Session: from(undefined, 'agent') };

/** Who enrols has no credential yet but the one in the message. */
const IDENTITY: Rpcs<IdentityHandlers> = {
  GetAuthorities: 'open',
  Enrol: 'open',
  RenewCertificate: from(undefined, 'agent'),
  Identify: from(undefined, 'agent'),
  CreateEnrolment: admins,
  ListEnrolments: operators,
  RevokeEnrolment: admins,
  Deny: admins,
  Allow: admins,
  ListDenials: operators,
  ListAudit: admins,
};

const EXECUTION: Rpcs<ExecutionHandlers> = { Execute: submitters, WaitExecution: viewers };

const OPERATIONS: Rpcs<OperationsHandlers> = {
  GetOperation: viewers,
  ListOperations: viewers,
  CancelOperation: submitters,
  DeleteOperation: submitters,
  WaitOperation: viewers,
};

const CAS: Rpcs<ContentAddressableStorageHandlers> = {
  FindMissingBlobs: everybody,
  BatchUpdateBlobs: writers,
  BatchReadBlobs: everybody,
  GetTree: everybody,
  SplitBlob: everybody,
  SpliceBlob: writers,
};

const BYTE_STREAM: Rpcs<ByteStreamHandlers> = { Read: everybody, Write: writers, QueryWriteStatus: everybody };

/** Agents read results; those of what they ran themselves are the coordinator's to keep. */
const ACTION_CACHE: Rpcs<ActionCacheHandlers> = { GetActionResult: everybody, UpdateActionResult: from('submitter', 'service') };

const CAPABILITIES: Rpcs<CapabilitiesHandlers> = { GetCapabilities: everybody };

const FETCH: Rpcs<FetchHandlers> = { FetchBlob: from('viewer', 'service'), FetchDirectory: from('viewer', 'service') };

const PUSH: Rpcs<PushHandlers> = { PushBlob: from('submitter', 'service'), PushDirectory: from('submitter', 'service') };

/** Agents use no names of the cache: what they need by name comes with their offers. */
const ENTRY_CACHE: Rpcs<EntryCacheHandlers> = {
  FindEntry: from('viewer', 'service'),
  PutEntry: from('submitter', 'service'),
  ListEntries: from('viewer', 'service'),
  ExplainEntry: from('viewer', 'service'),
  PurgeEntries: from('admin', 'service'),
  GetStaging: from('viewer', 'service'),
  GetCacheUsage: from('viewer', 'service'),
  CheckEntry: from('viewer', 'service'),
  PlanCollection: from('admin', 'service'),
};

const DATA_ACCESS: Rpcs<DataAccessHandlers> = { UpdateGrants: from(undefined, 'service'), TakeRefusals: from(undefined, 'service') };

/** URLs are for attempts: everybody else reads and stores by ByteStream. */
const DIRECT_TRANSFER: Rpcs<DirectTransferHandlers> = {
  PlanReads: from(undefined, 'agent'),
  BeginUploads: from(undefined, 'agent'),
  PlanUpload: from(undefined, 'agent'),
  CommitUpload: from(undefined, 'agent'),
};

/** KEDA asks with a certificate of its own; operators may look at what it would be told. */
const scalers = from('operator', 'scaler');

const EXTERNAL_SCALER: Rpcs<ExternalScalerHandlers> = {
  IsActive: scalers,
  StreamIsActive: scalers,
  GetMetricSpec: scalers,
  GetMetrics: scalers,
  StreamMetricSpec: scalers,
};

/** Probes and tools that look at what is served have no credential; they learn names and states, never contents. */
const REFLECTION = { ServerReflectionInfo: 'open' } as const;

/** Who may call what: the least permission for each rpc of each service that any process of ours offers. */
export const PERMISSIONS: Readonly<Record<string, Readonly<Record<string, Permission>>>> = {
  'switchyard.v1.Build': BUILD,
  'switchyard.v1.Agent': AGENT,
  'switchyard.v1.Identity': IDENTITY,
  'switchyard.v1.EntryCache': ENTRY_CACHE,
  'switchyard.v1.DataAccess': DATA_ACCESS,
  'switchyard.v1.DirectTransfer': DIRECT_TRANSFER,
  'build.bazel.remote.execution.v2.Execution': EXECUTION,
  'build.bazel.remote.execution.v2.ContentAddressableStorage': CAS,
  'build.bazel.remote.execution.v2.ActionCache': ACTION_CACHE,
  'build.bazel.remote.execution.v2.Capabilities': CAPABILITIES,
  'build.bazel.remote.asset.v1.Fetch': FETCH,
  'build.bazel.remote.asset.v1.Push': PUSH,
  'google.bytestream.ByteStream': BYTE_STREAM,
  'google.longrunning.Operations': OPERATIONS,
  'externalscaler.ExternalScaler': EXTERNAL_SCALER,
  'grpc.health.v1.Health': { Check: 'open', List: 'open', Watch: 'open' },
  'grpc.reflection.v1.ServerReflection': REFLECTION,
  'grpc.reflection.v1alpha.ServerReflection': REFLECTION,
};

/** The permission of the rpc at a path such as `/switchyard.v1.Build/GetBuild`. @throws {Fault} INTERNAL where it has none */
export function permissionOf(path: string): Permission {
  const [, service = '', method = ''] = path.split('/');
  const permission = PERMISSIONS[service]?.[method];
  if (permission === undefined) throw new Fault('INTERNAL', `${path} has no permission: give it one in proto/permissions.ts`);
  return permission;
}

/** @throws {Fault} FORBIDDEN, saying what would do */
export function permit(path: string, permission: Permission, identity: Identity): void {
  if (permission === 'open') return;
  const rpc = path.slice(path.lastIndexOf('/') + 1);
  if (identity.kind !== 'caller') {
    if (permission[identity.kind]) return;
    throw new Fault('FORBIDDEN', `${rpc} is for ${whom(permission)}, and this credential is for the ${identity.kind} ${identity.name}`);
  }
  const { caller } = identity;
  if (permission.role === undefined)
    throw new Fault('FORBIDDEN', `${rpc} is for ${whom(permission)}, and this credential is for the caller ${caller.name}`);
  if (!hasRole(caller, permission.role))
    throw new Fault('FORBIDDEN', `${rpc} needs the role ${permission.role}, but ${caller.name} has the role ${caller.role}`);
}

function whom(permission: Exclude<Permission, 'open'>): string {
  const { role, agent, service, scaler } = permission;
  const kinds = [role === undefined ? [] : 'callers', agent ? 'agents' : [], service ? 'services' : [], scaler ? 'autoscalers' : []];
  return kinds.flat().join(' and ');
}

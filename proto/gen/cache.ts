import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { CacheEntry as _switchyard_v1_CacheEntry, CacheEntry__Output as _switchyard_v1_CacheEntry__Output } from './switchyard/v1/CacheEntry.ts';
import type { CheckEntryRequest as _switchyard_v1_CheckEntryRequest, CheckEntryRequest__Output as _switchyard_v1_CheckEntryRequest__Output } from './switchyard/v1/CheckEntryRequest.ts';
import type { CheckEntryResponse as _switchyard_v1_CheckEntryResponse, CheckEntryResponse__Output as _switchyard_v1_CheckEntryResponse__Output } from './switchyard/v1/CheckEntryResponse.ts';
import type { ConsumedEntry as _switchyard_v1_ConsumedEntry, ConsumedEntry__Output as _switchyard_v1_ConsumedEntry__Output } from './switchyard/v1/ConsumedEntry.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from './switchyard/v1/Digest.ts';
import type { EntryCacheClient as _switchyard_v1_EntryCacheClient, EntryCacheDefinition as _switchyard_v1_EntryCacheDefinition } from './switchyard/v1/EntryCache.ts';
import type { EntryKeyPart as _switchyard_v1_EntryKeyPart, EntryKeyPart__Output as _switchyard_v1_EntryKeyPart__Output } from './switchyard/v1/EntryKeyPart.ts';
import type { EntryName as _switchyard_v1_EntryName, EntryName__Output as _switchyard_v1_EntryName__Output } from './switchyard/v1/EntryName.ts';
import type { EntryProvenance as _switchyard_v1_EntryProvenance, EntryProvenance__Output as _switchyard_v1_EntryProvenance__Output } from './switchyard/v1/EntryProvenance.ts';
import type { ExplainEntryRequest as _switchyard_v1_ExplainEntryRequest, ExplainEntryRequest__Output as _switchyard_v1_ExplainEntryRequest__Output } from './switchyard/v1/ExplainEntryRequest.ts';
import type { ExplainEntryResponse as _switchyard_v1_ExplainEntryResponse, ExplainEntryResponse__Output as _switchyard_v1_ExplainEntryResponse__Output } from './switchyard/v1/ExplainEntryResponse.ts';
import type { FindEntryRequest as _switchyard_v1_FindEntryRequest, FindEntryRequest__Output as _switchyard_v1_FindEntryRequest__Output } from './switchyard/v1/FindEntryRequest.ts';
import type { FindEntryResponse as _switchyard_v1_FindEntryResponse, FindEntryResponse__Output as _switchyard_v1_FindEntryResponse__Output } from './switchyard/v1/FindEntryResponse.ts';
import type { GetCacheUsageRequest as _switchyard_v1_GetCacheUsageRequest, GetCacheUsageRequest__Output as _switchyard_v1_GetCacheUsageRequest__Output } from './switchyard/v1/GetCacheUsageRequest.ts';
import type { GetCacheUsageResponse as _switchyard_v1_GetCacheUsageResponse, GetCacheUsageResponse__Output as _switchyard_v1_GetCacheUsageResponse__Output } from './switchyard/v1/GetCacheUsageResponse.ts';
import type { GetStagingRequest as _switchyard_v1_GetStagingRequest, GetStagingRequest__Output as _switchyard_v1_GetStagingRequest__Output } from './switchyard/v1/GetStagingRequest.ts';
import type { GetStagingResponse as _switchyard_v1_GetStagingResponse, GetStagingResponse__Output as _switchyard_v1_GetStagingResponse__Output } from './switchyard/v1/GetStagingResponse.ts';
import type { KeyPart as _switchyard_v1_KeyPart, KeyPart__Output as _switchyard_v1_KeyPart__Output } from './switchyard/v1/KeyPart.ts';
import type { ListEntriesRequest as _switchyard_v1_ListEntriesRequest, ListEntriesRequest__Output as _switchyard_v1_ListEntriesRequest__Output } from './switchyard/v1/ListEntriesRequest.ts';
import type { ListEntriesResponse as _switchyard_v1_ListEntriesResponse, ListEntriesResponse__Output as _switchyard_v1_ListEntriesResponse__Output } from './switchyard/v1/ListEntriesResponse.ts';
import type { OutputDirectory as _switchyard_v1_OutputDirectory, OutputDirectory__Output as _switchyard_v1_OutputDirectory__Output } from './switchyard/v1/OutputDirectory.ts';
import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from './switchyard/v1/OutputEntry.ts';
import type { OutputFile as _switchyard_v1_OutputFile, OutputFile__Output as _switchyard_v1_OutputFile__Output } from './switchyard/v1/OutputFile.ts';
import type { OutputSymlink as _switchyard_v1_OutputSymlink, OutputSymlink__Output as _switchyard_v1_OutputSymlink__Output } from './switchyard/v1/OutputSymlink.ts';
import type { PlanCollectionRequest as _switchyard_v1_PlanCollectionRequest, PlanCollectionRequest__Output as _switchyard_v1_PlanCollectionRequest__Output } from './switchyard/v1/PlanCollectionRequest.ts';
import type { PlanCollectionResponse as _switchyard_v1_PlanCollectionResponse, PlanCollectionResponse__Output as _switchyard_v1_PlanCollectionResponse__Output } from './switchyard/v1/PlanCollectionResponse.ts';
import type { PurgeEntriesRequest as _switchyard_v1_PurgeEntriesRequest, PurgeEntriesRequest__Output as _switchyard_v1_PurgeEntriesRequest__Output } from './switchyard/v1/PurgeEntriesRequest.ts';
import type { PurgeEntriesResponse as _switchyard_v1_PurgeEntriesResponse, PurgeEntriesResponse__Output as _switchyard_v1_PurgeEntriesResponse__Output } from './switchyard/v1/PurgeEntriesResponse.ts';
import type { PutEntryRequest as _switchyard_v1_PutEntryRequest, PutEntryRequest__Output as _switchyard_v1_PutEntryRequest__Output } from './switchyard/v1/PutEntryRequest.ts';
import type { PutEntryResponse as _switchyard_v1_PutEntryResponse, PutEntryResponse__Output as _switchyard_v1_PutEntryResponse__Output } from './switchyard/v1/PutEntryResponse.ts';
import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from './switchyard/v1/Resources.ts';
import type { Restore as _switchyard_v1_Restore, Restore__Output as _switchyard_v1_Restore__Output } from './switchyard/v1/Restore.ts';
import type { ResultDetail as _switchyard_v1_ResultDetail, ResultDetail__Output as _switchyard_v1_ResultDetail__Output } from './switchyard/v1/ResultDetail.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from './switchyard/v1/StepResult.ts';
import type { Usage as _switchyard_v1_Usage, Usage__Output as _switchyard_v1_Usage__Output } from './switchyard/v1/Usage.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  switchyard: {
    v1: {
      CacheEntry: MessageTypeDefinition<_switchyard_v1_CacheEntry, _switchyard_v1_CacheEntry__Output>
      CheckEntryRequest: MessageTypeDefinition<_switchyard_v1_CheckEntryRequest, _switchyard_v1_CheckEntryRequest__Output>
      CheckEntryResponse: MessageTypeDefinition<_switchyard_v1_CheckEntryResponse, _switchyard_v1_CheckEntryResponse__Output>
      ConsumedEntry: MessageTypeDefinition<_switchyard_v1_ConsumedEntry, _switchyard_v1_ConsumedEntry__Output>
      Digest: MessageTypeDefinition<_switchyard_v1_Digest, _switchyard_v1_Digest__Output>
      EntryCache: SubtypeConstructor<typeof grpc.Client, _switchyard_v1_EntryCacheClient> & { service: _switchyard_v1_EntryCacheDefinition }
      EntryKeyPart: MessageTypeDefinition<_switchyard_v1_EntryKeyPart, _switchyard_v1_EntryKeyPart__Output>
      EntryKind: EnumTypeDefinition
      EntryName: MessageTypeDefinition<_switchyard_v1_EntryName, _switchyard_v1_EntryName__Output>
      EntryProvenance: MessageTypeDefinition<_switchyard_v1_EntryProvenance, _switchyard_v1_EntryProvenance__Output>
      ExplainEntryRequest: MessageTypeDefinition<_switchyard_v1_ExplainEntryRequest, _switchyard_v1_ExplainEntryRequest__Output>
      ExplainEntryResponse: MessageTypeDefinition<_switchyard_v1_ExplainEntryResponse, _switchyard_v1_ExplainEntryResponse__Output>
      FailureClass: EnumTypeDefinition
      FindEntryRequest: MessageTypeDefinition<_switchyard_v1_FindEntryRequest, _switchyard_v1_FindEntryRequest__Output>
      FindEntryResponse: MessageTypeDefinition<_switchyard_v1_FindEntryResponse, _switchyard_v1_FindEntryResponse__Output>
      GetCacheUsageRequest: MessageTypeDefinition<_switchyard_v1_GetCacheUsageRequest, _switchyard_v1_GetCacheUsageRequest__Output>
      GetCacheUsageResponse: MessageTypeDefinition<_switchyard_v1_GetCacheUsageResponse, _switchyard_v1_GetCacheUsageResponse__Output>
      GetStagingRequest: MessageTypeDefinition<_switchyard_v1_GetStagingRequest, _switchyard_v1_GetStagingRequest__Output>
      GetStagingResponse: MessageTypeDefinition<_switchyard_v1_GetStagingResponse, _switchyard_v1_GetStagingResponse__Output>
      KeyPart: MessageTypeDefinition<_switchyard_v1_KeyPart, _switchyard_v1_KeyPart__Output>
      ListEntriesRequest: MessageTypeDefinition<_switchyard_v1_ListEntriesRequest, _switchyard_v1_ListEntriesRequest__Output>
      ListEntriesResponse: MessageTypeDefinition<_switchyard_v1_ListEntriesResponse, _switchyard_v1_ListEntriesResponse__Output>
      OutputDirectory: MessageTypeDefinition<_switchyard_v1_OutputDirectory, _switchyard_v1_OutputDirectory__Output>
      OutputEntry: MessageTypeDefinition<_switchyard_v1_OutputEntry, _switchyard_v1_OutputEntry__Output>
      OutputFile: MessageTypeDefinition<_switchyard_v1_OutputFile, _switchyard_v1_OutputFile__Output>
      OutputSymlink: MessageTypeDefinition<_switchyard_v1_OutputSymlink, _switchyard_v1_OutputSymlink__Output>
      PlanCollectionRequest: MessageTypeDefinition<_switchyard_v1_PlanCollectionRequest, _switchyard_v1_PlanCollectionRequest__Output>
      PlanCollectionResponse: MessageTypeDefinition<_switchyard_v1_PlanCollectionResponse, _switchyard_v1_PlanCollectionResponse__Output>
      PurgeEntriesRequest: MessageTypeDefinition<_switchyard_v1_PurgeEntriesRequest, _switchyard_v1_PurgeEntriesRequest__Output>
      PurgeEntriesResponse: MessageTypeDefinition<_switchyard_v1_PurgeEntriesResponse, _switchyard_v1_PurgeEntriesResponse__Output>
      PutEntryRequest: MessageTypeDefinition<_switchyard_v1_PutEntryRequest, _switchyard_v1_PutEntryRequest__Output>
      PutEntryResponse: MessageTypeDefinition<_switchyard_v1_PutEntryResponse, _switchyard_v1_PutEntryResponse__Output>
      Resources: MessageTypeDefinition<_switchyard_v1_Resources, _switchyard_v1_Resources__Output>
      Restore: MessageTypeDefinition<_switchyard_v1_Restore, _switchyard_v1_Restore__Output>
      ResultDetail: MessageTypeDefinition<_switchyard_v1_ResultDetail, _switchyard_v1_ResultDetail__Output>
      SandboxTrait: EnumTypeDefinition
      StepResult: MessageTypeDefinition<_switchyard_v1_StepResult, _switchyard_v1_StepResult__Output>
      Usage: MessageTypeDefinition<_switchyard_v1_Usage, _switchyard_v1_Usage__Output>
      Zone: EnumTypeDefinition
    }
  }
}


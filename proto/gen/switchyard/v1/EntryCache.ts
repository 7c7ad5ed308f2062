// Original file: proto/switchyard/v1/cache.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CheckEntryRequest as _switchyard_v1_CheckEntryRequest, CheckEntryRequest__Output as _switchyard_v1_CheckEntryRequest__Output } from '../../switchyard/v1/CheckEntryRequest.ts';
import type { CheckEntryResponse as _switchyard_v1_CheckEntryResponse, CheckEntryResponse__Output as _switchyard_v1_CheckEntryResponse__Output } from '../../switchyard/v1/CheckEntryResponse.ts';
import type { ExplainEntryRequest as _switchyard_v1_ExplainEntryRequest, ExplainEntryRequest__Output as _switchyard_v1_ExplainEntryRequest__Output } from '../../switchyard/v1/ExplainEntryRequest.ts';
import type { ExplainEntryResponse as _switchyard_v1_ExplainEntryResponse, ExplainEntryResponse__Output as _switchyard_v1_ExplainEntryResponse__Output } from '../../switchyard/v1/ExplainEntryResponse.ts';
import type { FindEntryRequest as _switchyard_v1_FindEntryRequest, FindEntryRequest__Output as _switchyard_v1_FindEntryRequest__Output } from '../../switchyard/v1/FindEntryRequest.ts';
import type { FindEntryResponse as _switchyard_v1_FindEntryResponse, FindEntryResponse__Output as _switchyard_v1_FindEntryResponse__Output } from '../../switchyard/v1/FindEntryResponse.ts';
import type { GetCacheUsageRequest as _switchyard_v1_GetCacheUsageRequest, GetCacheUsageRequest__Output as _switchyard_v1_GetCacheUsageRequest__Output } from '../../switchyard/v1/GetCacheUsageRequest.ts';
import type { GetCacheUsageResponse as _switchyard_v1_GetCacheUsageResponse, GetCacheUsageResponse__Output as _switchyard_v1_GetCacheUsageResponse__Output } from '../../switchyard/v1/GetCacheUsageResponse.ts';
import type { GetStagingRequest as _switchyard_v1_GetStagingRequest, GetStagingRequest__Output as _switchyard_v1_GetStagingRequest__Output } from '../../switchyard/v1/GetStagingRequest.ts';
import type { GetStagingResponse as _switchyard_v1_GetStagingResponse, GetStagingResponse__Output as _switchyard_v1_GetStagingResponse__Output } from '../../switchyard/v1/GetStagingResponse.ts';
import type { ListEntriesRequest as _switchyard_v1_ListEntriesRequest, ListEntriesRequest__Output as _switchyard_v1_ListEntriesRequest__Output } from '../../switchyard/v1/ListEntriesRequest.ts';
import type { ListEntriesResponse as _switchyard_v1_ListEntriesResponse, ListEntriesResponse__Output as _switchyard_v1_ListEntriesResponse__Output } from '../../switchyard/v1/ListEntriesResponse.ts';
import type { PlanCollectionRequest as _switchyard_v1_PlanCollectionRequest, PlanCollectionRequest__Output as _switchyard_v1_PlanCollectionRequest__Output } from '../../switchyard/v1/PlanCollectionRequest.ts';
import type { PlanCollectionResponse as _switchyard_v1_PlanCollectionResponse, PlanCollectionResponse__Output as _switchyard_v1_PlanCollectionResponse__Output } from '../../switchyard/v1/PlanCollectionResponse.ts';
import type { PurgeEntriesRequest as _switchyard_v1_PurgeEntriesRequest, PurgeEntriesRequest__Output as _switchyard_v1_PurgeEntriesRequest__Output } from '../../switchyard/v1/PurgeEntriesRequest.ts';
import type { PurgeEntriesResponse as _switchyard_v1_PurgeEntriesResponse, PurgeEntriesResponse__Output as _switchyard_v1_PurgeEntriesResponse__Output } from '../../switchyard/v1/PurgeEntriesResponse.ts';
import type { PutEntryRequest as _switchyard_v1_PutEntryRequest, PutEntryRequest__Output as _switchyard_v1_PutEntryRequest__Output } from '../../switchyard/v1/PutEntryRequest.ts';
import type { PutEntryResponse as _switchyard_v1_PutEntryResponse, PutEntryResponse__Output as _switchyard_v1_PutEntryResponse__Output } from '../../switchyard/v1/PutEntryResponse.ts';

export interface EntryCacheClient extends grpc.Client {
  CheckEntry(argument: _switchyard_v1_CheckEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  CheckEntry(argument: _switchyard_v1_CheckEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  CheckEntry(argument: _switchyard_v1_CheckEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  CheckEntry(argument: _switchyard_v1_CheckEntryRequest, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  checkEntry(argument: _switchyard_v1_CheckEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  checkEntry(argument: _switchyard_v1_CheckEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  checkEntry(argument: _switchyard_v1_CheckEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  checkEntry(argument: _switchyard_v1_CheckEntryRequest, callback: grpc.requestCallback<_switchyard_v1_CheckEntryResponse__Output>): grpc.ClientUnaryCall;
  
  ExplainEntry(argument: _switchyard_v1_ExplainEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  ExplainEntry(argument: _switchyard_v1_ExplainEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  ExplainEntry(argument: _switchyard_v1_ExplainEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  ExplainEntry(argument: _switchyard_v1_ExplainEntryRequest, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  explainEntry(argument: _switchyard_v1_ExplainEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  explainEntry(argument: _switchyard_v1_ExplainEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  explainEntry(argument: _switchyard_v1_ExplainEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  explainEntry(argument: _switchyard_v1_ExplainEntryRequest, callback: grpc.requestCallback<_switchyard_v1_ExplainEntryResponse__Output>): grpc.ClientUnaryCall;
  
  FindEntry(argument: _switchyard_v1_FindEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  FindEntry(argument: _switchyard_v1_FindEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  FindEntry(argument: _switchyard_v1_FindEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  FindEntry(argument: _switchyard_v1_FindEntryRequest, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  findEntry(argument: _switchyard_v1_FindEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  findEntry(argument: _switchyard_v1_FindEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  findEntry(argument: _switchyard_v1_FindEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  findEntry(argument: _switchyard_v1_FindEntryRequest, callback: grpc.requestCallback<_switchyard_v1_FindEntryResponse__Output>): grpc.ClientUnaryCall;
  
  GetCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  GetCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  GetCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  GetCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  getCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  getCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  getCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  getCacheUsage(argument: _switchyard_v1_GetCacheUsageRequest, callback: grpc.requestCallback<_switchyard_v1_GetCacheUsageResponse__Output>): grpc.ClientUnaryCall;
  
  GetStaging(argument: _switchyard_v1_GetStagingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  GetStaging(argument: _switchyard_v1_GetStagingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  GetStaging(argument: _switchyard_v1_GetStagingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  GetStaging(argument: _switchyard_v1_GetStagingRequest, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  getStaging(argument: _switchyard_v1_GetStagingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  getStaging(argument: _switchyard_v1_GetStagingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  getStaging(argument: _switchyard_v1_GetStagingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  getStaging(argument: _switchyard_v1_GetStagingRequest, callback: grpc.requestCallback<_switchyard_v1_GetStagingResponse__Output>): grpc.ClientUnaryCall;
  
  ListEntries(argument: _switchyard_v1_ListEntriesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  ListEntries(argument: _switchyard_v1_ListEntriesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  ListEntries(argument: _switchyard_v1_ListEntriesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  ListEntries(argument: _switchyard_v1_ListEntriesRequest, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  listEntries(argument: _switchyard_v1_ListEntriesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  listEntries(argument: _switchyard_v1_ListEntriesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  listEntries(argument: _switchyard_v1_ListEntriesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  listEntries(argument: _switchyard_v1_ListEntriesRequest, callback: grpc.requestCallback<_switchyard_v1_ListEntriesResponse__Output>): grpc.ClientUnaryCall;
  
  PlanCollection(argument: _switchyard_v1_PlanCollectionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  PlanCollection(argument: _switchyard_v1_PlanCollectionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  PlanCollection(argument: _switchyard_v1_PlanCollectionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  PlanCollection(argument: _switchyard_v1_PlanCollectionRequest, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  planCollection(argument: _switchyard_v1_PlanCollectionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  planCollection(argument: _switchyard_v1_PlanCollectionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  planCollection(argument: _switchyard_v1_PlanCollectionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  planCollection(argument: _switchyard_v1_PlanCollectionRequest, callback: grpc.requestCallback<_switchyard_v1_PlanCollectionResponse__Output>): grpc.ClientUnaryCall;
  
  PurgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  PurgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  PurgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  PurgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  purgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  purgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  purgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  purgeEntries(argument: _switchyard_v1_PurgeEntriesRequest, callback: grpc.requestCallback<_switchyard_v1_PurgeEntriesResponse__Output>): grpc.ClientUnaryCall;
  
  PutEntry(argument: _switchyard_v1_PutEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  PutEntry(argument: _switchyard_v1_PutEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  PutEntry(argument: _switchyard_v1_PutEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  PutEntry(argument: _switchyard_v1_PutEntryRequest, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  putEntry(argument: _switchyard_v1_PutEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  putEntry(argument: _switchyard_v1_PutEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  putEntry(argument: _switchyard_v1_PutEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  putEntry(argument: _switchyard_v1_PutEntryRequest, callback: grpc.requestCallback<_switchyard_v1_PutEntryResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface EntryCacheHandlers extends grpc.UntypedServiceImplementation {
  CheckEntry: grpc.handleUnaryCall<_switchyard_v1_CheckEntryRequest__Output, _switchyard_v1_CheckEntryResponse>;
  
  ExplainEntry: grpc.handleUnaryCall<_switchyard_v1_ExplainEntryRequest__Output, _switchyard_v1_ExplainEntryResponse>;
  
  FindEntry: grpc.handleUnaryCall<_switchyard_v1_FindEntryRequest__Output, _switchyard_v1_FindEntryResponse>;
  
  GetCacheUsage: grpc.handleUnaryCall<_switchyard_v1_GetCacheUsageRequest__Output, _switchyard_v1_GetCacheUsageResponse>;
  
  GetStaging: grpc.handleUnaryCall<_switchyard_v1_GetStagingRequest__Output, _switchyard_v1_GetStagingResponse>;
  
  ListEntries: grpc.handleUnaryCall<_switchyard_v1_ListEntriesRequest__Output, _switchyard_v1_ListEntriesResponse>;
  
  PlanCollection: grpc.handleUnaryCall<_switchyard_v1_PlanCollectionRequest__Output, _switchyard_v1_PlanCollectionResponse>;
  
  PurgeEntries: grpc.handleUnaryCall<_switchyard_v1_PurgeEntriesRequest__Output, _switchyard_v1_PurgeEntriesResponse>;
  
  PutEntry: grpc.handleUnaryCall<_switchyard_v1_PutEntryRequest__Output, _switchyard_v1_PutEntryResponse>;
  
}

export interface EntryCacheDefinition extends grpc.ServiceDefinition {
  CheckEntry: MethodDefinition<_switchyard_v1_CheckEntryRequest, _switchyard_v1_CheckEntryResponse, _switchyard_v1_CheckEntryRequest__Output, _switchyard_v1_CheckEntryResponse__Output>
  ExplainEntry: MethodDefinition<_switchyard_v1_ExplainEntryRequest, _switchyard_v1_ExplainEntryResponse, _switchyard_v1_ExplainEntryRequest__Output, _switchyard_v1_ExplainEntryResponse__Output>
  FindEntry: MethodDefinition<_switchyard_v1_FindEntryRequest, _switchyard_v1_FindEntryResponse, _switchyard_v1_FindEntryRequest__Output, _switchyard_v1_FindEntryResponse__Output>
  GetCacheUsage: MethodDefinition<_switchyard_v1_GetCacheUsageRequest, _switchyard_v1_GetCacheUsageResponse, _switchyard_v1_GetCacheUsageRequest__Output, _switchyard_v1_GetCacheUsageResponse__Output>
  GetStaging: MethodDefinition<_switchyard_v1_GetStagingRequest, _switchyard_v1_GetStagingResponse, _switchyard_v1_GetStagingRequest__Output, _switchyard_v1_GetStagingResponse__Output>
  ListEntries: MethodDefinition<_switchyard_v1_ListEntriesRequest, _switchyard_v1_ListEntriesResponse, _switchyard_v1_ListEntriesRequest__Output, _switchyard_v1_ListEntriesResponse__Output>
  PlanCollection: MethodDefinition<_switchyard_v1_PlanCollectionRequest, _switchyard_v1_PlanCollectionResponse, _switchyard_v1_PlanCollectionRequest__Output, _switchyard_v1_PlanCollectionResponse__Output>
  PurgeEntries: MethodDefinition<_switchyard_v1_PurgeEntriesRequest, _switchyard_v1_PurgeEntriesResponse, _switchyard_v1_PurgeEntriesRequest__Output, _switchyard_v1_PurgeEntriesResponse__Output>
  PutEntry: MethodDefinition<_switchyard_v1_PutEntryRequest, _switchyard_v1_PutEntryResponse, _switchyard_v1_PutEntryRequest__Output, _switchyard_v1_PutEntryResponse__Output>
}

// Original file: proto/switchyard/v1/build.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ApplyTopologyRequest as _switchyard_v1_ApplyTopologyRequest, ApplyTopologyRequest__Output as _switchyard_v1_ApplyTopologyRequest__Output } from '../../switchyard/v1/ApplyTopologyRequest.ts';
import type { ApplyTopologyResponse as _switchyard_v1_ApplyTopologyResponse, ApplyTopologyResponse__Output as _switchyard_v1_ApplyTopologyResponse__Output } from '../../switchyard/v1/ApplyTopologyResponse.ts';
import type { CancelBuildRequest as _switchyard_v1_CancelBuildRequest, CancelBuildRequest__Output as _switchyard_v1_CancelBuildRequest__Output } from '../../switchyard/v1/CancelBuildRequest.ts';
import type { CancelBuildResponse as _switchyard_v1_CancelBuildResponse, CancelBuildResponse__Output as _switchyard_v1_CancelBuildResponse__Output } from '../../switchyard/v1/CancelBuildResponse.ts';
import type { ExplainStepRequest as _switchyard_v1_ExplainStepRequest, ExplainStepRequest__Output as _switchyard_v1_ExplainStepRequest__Output } from '../../switchyard/v1/ExplainStepRequest.ts';
import type { ExplainStepResponse as _switchyard_v1_ExplainStepResponse, ExplainStepResponse__Output as _switchyard_v1_ExplainStepResponse__Output } from '../../switchyard/v1/ExplainStepResponse.ts';
import type { GetBuildRequest as _switchyard_v1_GetBuildRequest, GetBuildRequest__Output as _switchyard_v1_GetBuildRequest__Output } from '../../switchyard/v1/GetBuildRequest.ts';
import type { GetBuildResponse as _switchyard_v1_GetBuildResponse, GetBuildResponse__Output as _switchyard_v1_GetBuildResponse__Output } from '../../switchyard/v1/GetBuildResponse.ts';
import type { GetEnvironmentRequest as _switchyard_v1_GetEnvironmentRequest, GetEnvironmentRequest__Output as _switchyard_v1_GetEnvironmentRequest__Output } from '../../switchyard/v1/GetEnvironmentRequest.ts';
import type { GetEnvironmentResponse as _switchyard_v1_GetEnvironmentResponse, GetEnvironmentResponse__Output as _switchyard_v1_GetEnvironmentResponse__Output } from '../../switchyard/v1/GetEnvironmentResponse.ts';
import type { GetServerRequest as _switchyard_v1_GetServerRequest, GetServerRequest__Output as _switchyard_v1_GetServerRequest__Output } from '../../switchyard/v1/GetServerRequest.ts';
import type { GetServerResponse as _switchyard_v1_GetServerResponse, GetServerResponse__Output as _switchyard_v1_GetServerResponse__Output } from '../../switchyard/v1/GetServerResponse.ts';
import type { GetTopologyRequest as _switchyard_v1_GetTopologyRequest, GetTopologyRequest__Output as _switchyard_v1_GetTopologyRequest__Output } from '../../switchyard/v1/GetTopologyRequest.ts';
import type { GetTopologyResponse as _switchyard_v1_GetTopologyResponse, GetTopologyResponse__Output as _switchyard_v1_GetTopologyResponse__Output } from '../../switchyard/v1/GetTopologyResponse.ts';
import type { ListAgentsRequest as _switchyard_v1_ListAgentsRequest, ListAgentsRequest__Output as _switchyard_v1_ListAgentsRequest__Output } from '../../switchyard/v1/ListAgentsRequest.ts';
import type { ListAgentsResponse as _switchyard_v1_ListAgentsResponse, ListAgentsResponse__Output as _switchyard_v1_ListAgentsResponse__Output } from '../../switchyard/v1/ListAgentsResponse.ts';
import type { ListBuildsRequest as _switchyard_v1_ListBuildsRequest, ListBuildsRequest__Output as _switchyard_v1_ListBuildsRequest__Output } from '../../switchyard/v1/ListBuildsRequest.ts';
import type { ListBuildsResponse as _switchyard_v1_ListBuildsResponse, ListBuildsResponse__Output as _switchyard_v1_ListBuildsResponse__Output } from '../../switchyard/v1/ListBuildsResponse.ts';
import type { ListTopologiesRequest as _switchyard_v1_ListTopologiesRequest, ListTopologiesRequest__Output as _switchyard_v1_ListTopologiesRequest__Output } from '../../switchyard/v1/ListTopologiesRequest.ts';
import type { ListTopologiesResponse as _switchyard_v1_ListTopologiesResponse, ListTopologiesResponse__Output as _switchyard_v1_ListTopologiesResponse__Output } from '../../switchyard/v1/ListTopologiesResponse.ts';
import type { PlanTopologyRequest as _switchyard_v1_PlanTopologyRequest, PlanTopologyRequest__Output as _switchyard_v1_PlanTopologyRequest__Output } from '../../switchyard/v1/PlanTopologyRequest.ts';
import type { PlanTopologyResponse as _switchyard_v1_PlanTopologyResponse, PlanTopologyResponse__Output as _switchyard_v1_PlanTopologyResponse__Output } from '../../switchyard/v1/PlanTopologyResponse.ts';
import type { RetryStepRequest as _switchyard_v1_RetryStepRequest, RetryStepRequest__Output as _switchyard_v1_RetryStepRequest__Output } from '../../switchyard/v1/RetryStepRequest.ts';
import type { RetryStepResponse as _switchyard_v1_RetryStepResponse, RetryStepResponse__Output as _switchyard_v1_RetryStepResponse__Output } from '../../switchyard/v1/RetryStepResponse.ts';
import type { ScaleInRequest as _switchyard_v1_ScaleInRequest, ScaleInRequest__Output as _switchyard_v1_ScaleInRequest__Output } from '../../switchyard/v1/ScaleInRequest.ts';
import type { ScaleInResponse as _switchyard_v1_ScaleInResponse, ScaleInResponse__Output as _switchyard_v1_ScaleInResponse__Output } from '../../switchyard/v1/ScaleInResponse.ts';
import type { SetHoldRequest as _switchyard_v1_SetHoldRequest, SetHoldRequest__Output as _switchyard_v1_SetHoldRequest__Output } from '../../switchyard/v1/SetHoldRequest.ts';
import type { SetHoldResponse as _switchyard_v1_SetHoldResponse, SetHoldResponse__Output as _switchyard_v1_SetHoldResponse__Output } from '../../switchyard/v1/SetHoldResponse.ts';
import type { StreamLogRequest as _switchyard_v1_StreamLogRequest, StreamLogRequest__Output as _switchyard_v1_StreamLogRequest__Output } from '../../switchyard/v1/StreamLogRequest.ts';
import type { StreamLogResponse as _switchyard_v1_StreamLogResponse, StreamLogResponse__Output as _switchyard_v1_StreamLogResponse__Output } from '../../switchyard/v1/StreamLogResponse.ts';
import type { SubmitBuildRequest as _switchyard_v1_SubmitBuildRequest, SubmitBuildRequest__Output as _switchyard_v1_SubmitBuildRequest__Output } from '../../switchyard/v1/SubmitBuildRequest.ts';
import type { SubmitBuildResponse as _switchyard_v1_SubmitBuildResponse, SubmitBuildResponse__Output as _switchyard_v1_SubmitBuildResponse__Output } from '../../switchyard/v1/SubmitBuildResponse.ts';
import type { WatchBuildRequest as _switchyard_v1_WatchBuildRequest, WatchBuildRequest__Output as _switchyard_v1_WatchBuildRequest__Output } from '../../switchyard/v1/WatchBuildRequest.ts';
import type { WatchBuildResponse as _switchyard_v1_WatchBuildResponse, WatchBuildResponse__Output as _switchyard_v1_WatchBuildResponse__Output } from '../../switchyard/v1/WatchBuildResponse.ts';

export interface BuildClient extends grpc.Client {
  ApplyTopology(argument: _switchyard_v1_ApplyTopologyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  ApplyTopology(argument: _switchyard_v1_ApplyTopologyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  ApplyTopology(argument: _switchyard_v1_ApplyTopologyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  ApplyTopology(argument: _switchyard_v1_ApplyTopologyRequest, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  applyTopology(argument: _switchyard_v1_ApplyTopologyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  applyTopology(argument: _switchyard_v1_ApplyTopologyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  applyTopology(argument: _switchyard_v1_ApplyTopologyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  applyTopology(argument: _switchyard_v1_ApplyTopologyRequest, callback: grpc.requestCallback<_switchyard_v1_ApplyTopologyResponse__Output>): grpc.ClientUnaryCall;
  
  CancelBuild(argument: _switchyard_v1_CancelBuildRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  CancelBuild(argument: _switchyard_v1_CancelBuildRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  CancelBuild(argument: _switchyard_v1_CancelBuildRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  CancelBuild(argument: _switchyard_v1_CancelBuildRequest, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  cancelBuild(argument: _switchyard_v1_CancelBuildRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  cancelBuild(argument: _switchyard_v1_CancelBuildRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  cancelBuild(argument: _switchyard_v1_CancelBuildRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  cancelBuild(argument: _switchyard_v1_CancelBuildRequest, callback: grpc.requestCallback<_switchyard_v1_CancelBuildResponse__Output>): grpc.ClientUnaryCall;
  
  ExplainStep(argument: _switchyard_v1_ExplainStepRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  ExplainStep(argument: _switchyard_v1_ExplainStepRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  ExplainStep(argument: _switchyard_v1_ExplainStepRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  ExplainStep(argument: _switchyard_v1_ExplainStepRequest, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  explainStep(argument: _switchyard_v1_ExplainStepRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  explainStep(argument: _switchyard_v1_ExplainStepRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  explainStep(argument: _switchyard_v1_ExplainStepRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  explainStep(argument: _switchyard_v1_ExplainStepRequest, callback: grpc.requestCallback<_switchyard_v1_ExplainStepResponse__Output>): grpc.ClientUnaryCall;
  
  GetBuild(argument: _switchyard_v1_GetBuildRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  GetBuild(argument: _switchyard_v1_GetBuildRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  GetBuild(argument: _switchyard_v1_GetBuildRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  GetBuild(argument: _switchyard_v1_GetBuildRequest, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  getBuild(argument: _switchyard_v1_GetBuildRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  getBuild(argument: _switchyard_v1_GetBuildRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  getBuild(argument: _switchyard_v1_GetBuildRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  getBuild(argument: _switchyard_v1_GetBuildRequest, callback: grpc.requestCallback<_switchyard_v1_GetBuildResponse__Output>): grpc.ClientUnaryCall;
  
  GetEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  GetEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  GetEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  GetEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  getEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  getEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  getEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  getEnvironment(argument: _switchyard_v1_GetEnvironmentRequest, callback: grpc.requestCallback<_switchyard_v1_GetEnvironmentResponse__Output>): grpc.ClientUnaryCall;
  
  GetServer(argument: _switchyard_v1_GetServerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  GetServer(argument: _switchyard_v1_GetServerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  GetServer(argument: _switchyard_v1_GetServerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  GetServer(argument: _switchyard_v1_GetServerRequest, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  getServer(argument: _switchyard_v1_GetServerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  getServer(argument: _switchyard_v1_GetServerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  getServer(argument: _switchyard_v1_GetServerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  getServer(argument: _switchyard_v1_GetServerRequest, callback: grpc.requestCallback<_switchyard_v1_GetServerResponse__Output>): grpc.ClientUnaryCall;
  
  GetTopology(argument: _switchyard_v1_GetTopologyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  GetTopology(argument: _switchyard_v1_GetTopologyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  GetTopology(argument: _switchyard_v1_GetTopologyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  GetTopology(argument: _switchyard_v1_GetTopologyRequest, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  getTopology(argument: _switchyard_v1_GetTopologyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  getTopology(argument: _switchyard_v1_GetTopologyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  getTopology(argument: _switchyard_v1_GetTopologyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  getTopology(argument: _switchyard_v1_GetTopologyRequest, callback: grpc.requestCallback<_switchyard_v1_GetTopologyResponse__Output>): grpc.ClientUnaryCall;
  
  ListAgents(argument: _switchyard_v1_ListAgentsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  ListAgents(argument: _switchyard_v1_ListAgentsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  ListAgents(argument: _switchyard_v1_ListAgentsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  ListAgents(argument: _switchyard_v1_ListAgentsRequest, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  listAgents(argument: _switchyard_v1_ListAgentsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  listAgents(argument: _switchyard_v1_ListAgentsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  listAgents(argument: _switchyard_v1_ListAgentsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  listAgents(argument: _switchyard_v1_ListAgentsRequest, callback: grpc.requestCallback<_switchyard_v1_ListAgentsResponse__Output>): grpc.ClientUnaryCall;
  
  ListBuilds(argument: _switchyard_v1_ListBuildsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  ListBuilds(argument: _switchyard_v1_ListBuildsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  ListBuilds(argument: _switchyard_v1_ListBuildsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  ListBuilds(argument: _switchyard_v1_ListBuildsRequest, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  listBuilds(argument: _switchyard_v1_ListBuildsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  listBuilds(argument: _switchyard_v1_ListBuildsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  listBuilds(argument: _switchyard_v1_ListBuildsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  listBuilds(argument: _switchyard_v1_ListBuildsRequest, callback: grpc.requestCallback<_switchyard_v1_ListBuildsResponse__Output>): grpc.ClientUnaryCall;
  
  ListTopologies(argument: _switchyard_v1_ListTopologiesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  ListTopologies(argument: _switchyard_v1_ListTopologiesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  ListTopologies(argument: _switchyard_v1_ListTopologiesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  ListTopologies(argument: _switchyard_v1_ListTopologiesRequest, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  listTopologies(argument: _switchyard_v1_ListTopologiesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  listTopologies(argument: _switchyard_v1_ListTopologiesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  listTopologies(argument: _switchyard_v1_ListTopologiesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  listTopologies(argument: _switchyard_v1_ListTopologiesRequest, callback: grpc.requestCallback<_switchyard_v1_ListTopologiesResponse__Output>): grpc.ClientUnaryCall;
  
  PlanTopology(argument: _switchyard_v1_PlanTopologyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  PlanTopology(argument: _switchyard_v1_PlanTopologyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  PlanTopology(argument: _switchyard_v1_PlanTopologyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  PlanTopology(argument: _switchyard_v1_PlanTopologyRequest, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  planTopology(argument: _switchyard_v1_PlanTopologyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  planTopology(argument: _switchyard_v1_PlanTopologyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  planTopology(argument: _switchyard_v1_PlanTopologyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  planTopology(argument: _switchyard_v1_PlanTopologyRequest, callback: grpc.requestCallback<_switchyard_v1_PlanTopologyResponse__Output>): grpc.ClientUnaryCall;
  
  RetryStep(argument: _switchyard_v1_RetryStepRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  RetryStep(argument: _switchyard_v1_RetryStepRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  RetryStep(argument: _switchyard_v1_RetryStepRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  RetryStep(argument: _switchyard_v1_RetryStepRequest, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  retryStep(argument: _switchyard_v1_RetryStepRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  retryStep(argument: _switchyard_v1_RetryStepRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  retryStep(argument: _switchyard_v1_RetryStepRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  retryStep(argument: _switchyard_v1_RetryStepRequest, callback: grpc.requestCallback<_switchyard_v1_RetryStepResponse__Output>): grpc.ClientUnaryCall;
  
  ScaleIn(argument: _switchyard_v1_ScaleInRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  ScaleIn(argument: _switchyard_v1_ScaleInRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  ScaleIn(argument: _switchyard_v1_ScaleInRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  ScaleIn(argument: _switchyard_v1_ScaleInRequest, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  scaleIn(argument: _switchyard_v1_ScaleInRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  scaleIn(argument: _switchyard_v1_ScaleInRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  scaleIn(argument: _switchyard_v1_ScaleInRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  scaleIn(argument: _switchyard_v1_ScaleInRequest, callback: grpc.requestCallback<_switchyard_v1_ScaleInResponse__Output>): grpc.ClientUnaryCall;
  
  SetHold(argument: _switchyard_v1_SetHoldRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  SetHold(argument: _switchyard_v1_SetHoldRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  SetHold(argument: _switchyard_v1_SetHoldRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  SetHold(argument: _switchyard_v1_SetHoldRequest, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  setHold(argument: _switchyard_v1_SetHoldRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  setHold(argument: _switchyard_v1_SetHoldRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  setHold(argument: _switchyard_v1_SetHoldRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  setHold(argument: _switchyard_v1_SetHoldRequest, callback: grpc.requestCallback<_switchyard_v1_SetHoldResponse__Output>): grpc.ClientUnaryCall;
  
  StreamLog(argument: _switchyard_v1_StreamLogRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_StreamLogResponse__Output>;
  StreamLog(argument: _switchyard_v1_StreamLogRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_StreamLogResponse__Output>;
  streamLog(argument: _switchyard_v1_StreamLogRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_StreamLogResponse__Output>;
  streamLog(argument: _switchyard_v1_StreamLogRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_StreamLogResponse__Output>;
  
  SubmitBuild(argument: _switchyard_v1_SubmitBuildRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  SubmitBuild(argument: _switchyard_v1_SubmitBuildRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  SubmitBuild(argument: _switchyard_v1_SubmitBuildRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  SubmitBuild(argument: _switchyard_v1_SubmitBuildRequest, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  submitBuild(argument: _switchyard_v1_SubmitBuildRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  submitBuild(argument: _switchyard_v1_SubmitBuildRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  submitBuild(argument: _switchyard_v1_SubmitBuildRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  submitBuild(argument: _switchyard_v1_SubmitBuildRequest, callback: grpc.requestCallback<_switchyard_v1_SubmitBuildResponse__Output>): grpc.ClientUnaryCall;
  
  WatchBuild(argument: _switchyard_v1_WatchBuildRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_WatchBuildResponse__Output>;
  WatchBuild(argument: _switchyard_v1_WatchBuildRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_WatchBuildResponse__Output>;
  watchBuild(argument: _switchyard_v1_WatchBuildRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_WatchBuildResponse__Output>;
  watchBuild(argument: _switchyard_v1_WatchBuildRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_switchyard_v1_WatchBuildResponse__Output>;
  
}

export interface BuildHandlers extends grpc.UntypedServiceImplementation {
  ApplyTopology: grpc.handleUnaryCall<_switchyard_v1_ApplyTopologyRequest__Output, _switchyard_v1_ApplyTopologyResponse>;
  
  CancelBuild: grpc.handleUnaryCall<_switchyard_v1_CancelBuildRequest__Output, _switchyard_v1_CancelBuildResponse>;
  
  ExplainStep: grpc.handleUnaryCall<_switchyard_v1_ExplainStepRequest__Output, _switchyard_v1_ExplainStepResponse>;
  
  GetBuild: grpc.handleUnaryCall<_switchyard_v1_GetBuildRequest__Output, _switchyard_v1_GetBuildResponse>;
  
  GetEnvironment: grpc.handleUnaryCall<_switchyard_v1_GetEnvironmentRequest__Output, _switchyard_v1_GetEnvironmentResponse>;
  
  GetServer: grpc.handleUnaryCall<_switchyard_v1_GetServerRequest__Output, _switchyard_v1_GetServerResponse>;
  
  GetTopology: grpc.handleUnaryCall<_switchyard_v1_GetTopologyRequest__Output, _switchyard_v1_GetTopologyResponse>;
  
  ListAgents: grpc.handleUnaryCall<_switchyard_v1_ListAgentsRequest__Output, _switchyard_v1_ListAgentsResponse>;
  
  ListBuilds: grpc.handleUnaryCall<_switchyard_v1_ListBuildsRequest__Output, _switchyard_v1_ListBuildsResponse>;
  
  ListTopologies: grpc.handleUnaryCall<_switchyard_v1_ListTopologiesRequest__Output, _switchyard_v1_ListTopologiesResponse>;
  
  PlanTopology: grpc.handleUnaryCall<_switchyard_v1_PlanTopologyRequest__Output, _switchyard_v1_PlanTopologyResponse>;
  
  RetryStep: grpc.handleUnaryCall<_switchyard_v1_RetryStepRequest__Output, _switchyard_v1_RetryStepResponse>;
  
  ScaleIn: grpc.handleUnaryCall<_switchyard_v1_ScaleInRequest__Output, _switchyard_v1_ScaleInResponse>;
  
  SetHold: grpc.handleUnaryCall<_switchyard_v1_SetHoldRequest__Output, _switchyard_v1_SetHoldResponse>;
  
  StreamLog: grpc.handleServerStreamingCall<_switchyard_v1_StreamLogRequest__Output, _switchyard_v1_StreamLogResponse>;
  
  SubmitBuild: grpc.handleUnaryCall<_switchyard_v1_SubmitBuildRequest__Output, _switchyard_v1_SubmitBuildResponse>;
  
  WatchBuild: grpc.handleServerStreamingCall<_switchyard_v1_WatchBuildRequest__Output, _switchyard_v1_WatchBuildResponse>;
  
}

export interface BuildDefinition extends grpc.ServiceDefinition {
  ApplyTopology: MethodDefinition<_switchyard_v1_ApplyTopologyRequest, _switchyard_v1_ApplyTopologyResponse, _switchyard_v1_ApplyTopologyRequest__Output, _switchyard_v1_ApplyTopologyResponse__Output>
  CancelBuild: MethodDefinition<_switchyard_v1_CancelBuildRequest, _switchyard_v1_CancelBuildResponse, _switchyard_v1_CancelBuildRequest__Output, _switchyard_v1_CancelBuildResponse__Output>
  ExplainStep: MethodDefinition<_switchyard_v1_ExplainStepRequest, _switchyard_v1_ExplainStepResponse, _switchyard_v1_ExplainStepRequest__Output, _switchyard_v1_ExplainStepResponse__Output>
  GetBuild: MethodDefinition<_switchyard_v1_GetBuildRequest, _switchyard_v1_GetBuildResponse, _switchyard_v1_GetBuildRequest__Output, _switchyard_v1_GetBuildResponse__Output>
  GetEnvironment: MethodDefinition<_switchyard_v1_GetEnvironmentRequest, _switchyard_v1_GetEnvironmentResponse, _switchyard_v1_GetEnvironmentRequest__Output, _switchyard_v1_GetEnvironmentResponse__Output>
  GetServer: MethodDefinition<_switchyard_v1_GetServerRequest, _switchyard_v1_GetServerResponse, _switchyard_v1_GetServerRequest__Output, _switchyard_v1_GetServerResponse__Output>
  GetTopology: MethodDefinition<_switchyard_v1_GetTopologyRequest, _switchyard_v1_GetTopologyResponse, _switchyard_v1_GetTopologyRequest__Output, _switchyard_v1_GetTopologyResponse__Output>
  ListAgents: MethodDefinition<_switchyard_v1_ListAgentsRequest, _switchyard_v1_ListAgentsResponse, _switchyard_v1_ListAgentsRequest__Output, _switchyard_v1_ListAgentsResponse__Output>
  ListBuilds: MethodDefinition<_switchyard_v1_ListBuildsRequest, _switchyard_v1_ListBuildsResponse, _switchyard_v1_ListBuildsRequest__Output, _switchyard_v1_ListBuildsResponse__Output>
  ListTopologies: MethodDefinition<_switchyard_v1_ListTopologiesRequest, _switchyard_v1_ListTopologiesResponse, _switchyard_v1_ListTopologiesRequest__Output, _switchyard_v1_ListTopologiesResponse__Output>
  PlanTopology: MethodDefinition<_switchyard_v1_PlanTopologyRequest, _switchyard_v1_PlanTopologyResponse, _switchyard_v1_PlanTopologyRequest__Output, _switchyard_v1_PlanTopologyResponse__Output>
  RetryStep: MethodDefinition<_switchyard_v1_RetryStepRequest, _switchyard_v1_RetryStepResponse, _switchyard_v1_RetryStepRequest__Output, _switchyard_v1_RetryStepResponse__Output>
  ScaleIn: MethodDefinition<_switchyard_v1_ScaleInRequest, _switchyard_v1_ScaleInResponse, _switchyard_v1_ScaleInRequest__Output, _switchyard_v1_ScaleInResponse__Output>
  SetHold: MethodDefinition<_switchyard_v1_SetHoldRequest, _switchyard_v1_SetHoldResponse, _switchyard_v1_SetHoldRequest__Output, _switchyard_v1_SetHoldResponse__Output>
  StreamLog: MethodDefinition<_switchyard_v1_StreamLogRequest, _switchyard_v1_StreamLogResponse, _switchyard_v1_StreamLogRequest__Output, _switchyard_v1_StreamLogResponse__Output>
  SubmitBuild: MethodDefinition<_switchyard_v1_SubmitBuildRequest, _switchyard_v1_SubmitBuildResponse, _switchyard_v1_SubmitBuildRequest__Output, _switchyard_v1_SubmitBuildResponse__Output>
  WatchBuild: MethodDefinition<_switchyard_v1_WatchBuildRequest, _switchyard_v1_WatchBuildResponse, _switchyard_v1_WatchBuildRequest__Output, _switchyard_v1_WatchBuildResponse__Output>
}

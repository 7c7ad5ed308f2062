// Original file: proto/switchyard/v1/data.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { PlanReadsRequest as _switchyard_v1_PlanReadsRequest, PlanReadsRequest__Output as _switchyard_v1_PlanReadsRequest__Output } from '../../switchyard/v1/PlanReadsRequest.ts';
import type { PlanReadsResponse as _switchyard_v1_PlanReadsResponse, PlanReadsResponse__Output as _switchyard_v1_PlanReadsResponse__Output } from '../../switchyard/v1/PlanReadsResponse.ts';

export interface DirectTransferClient extends grpc.Client {
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface DirectTransferHandlers extends grpc.UntypedServiceImplementation {
  PlanReads: grpc.handleUnaryCall<_switchyard_v1_PlanReadsRequest__Output, _switchyard_v1_PlanReadsResponse>;
  
}

export interface DirectTransferDefinition extends grpc.ServiceDefinition {
  PlanReads: MethodDefinition<_switchyard_v1_PlanReadsRequest, _switchyard_v1_PlanReadsResponse, _switchyard_v1_PlanReadsRequest__Output, _switchyard_v1_PlanReadsResponse__Output>
}

// Original file: proto/switchyard/v1/data.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { TakeRefusalsRequest as _switchyard_v1_TakeRefusalsRequest, TakeRefusalsRequest__Output as _switchyard_v1_TakeRefusalsRequest__Output } from '../../switchyard/v1/TakeRefusalsRequest.ts';
import type { TakeRefusalsResponse as _switchyard_v1_TakeRefusalsResponse, TakeRefusalsResponse__Output as _switchyard_v1_TakeRefusalsResponse__Output } from '../../switchyard/v1/TakeRefusalsResponse.ts';
import type { UpdateGrantsRequest as _switchyard_v1_UpdateGrantsRequest, UpdateGrantsRequest__Output as _switchyard_v1_UpdateGrantsRequest__Output } from '../../switchyard/v1/UpdateGrantsRequest.ts';
import type { UpdateGrantsResponse as _switchyard_v1_UpdateGrantsResponse, UpdateGrantsResponse__Output as _switchyard_v1_UpdateGrantsResponse__Output } from '../../switchyard/v1/UpdateGrantsResponse.ts';

export interface DataAccessClient extends grpc.Client {
  TakeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  TakeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  TakeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  TakeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  takeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  takeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  takeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  takeRefusals(argument: _switchyard_v1_TakeRefusalsRequest, callback: grpc.requestCallback<_switchyard_v1_TakeRefusalsResponse__Output>): grpc.ClientUnaryCall;
  
  UpdateGrants(argument: _switchyard_v1_UpdateGrantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  UpdateGrants(argument: _switchyard_v1_UpdateGrantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  UpdateGrants(argument: _switchyard_v1_UpdateGrantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  UpdateGrants(argument: _switchyard_v1_UpdateGrantsRequest, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  updateGrants(argument: _switchyard_v1_UpdateGrantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  updateGrants(argument: _switchyard_v1_UpdateGrantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  updateGrants(argument: _switchyard_v1_UpdateGrantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  updateGrants(argument: _switchyard_v1_UpdateGrantsRequest, callback: grpc.requestCallback<_switchyard_v1_UpdateGrantsResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface DataAccessHandlers extends grpc.UntypedServiceImplementation {
  TakeRefusals: grpc.handleUnaryCall<_switchyard_v1_TakeRefusalsRequest__Output, _switchyard_v1_TakeRefusalsResponse>;
  
  UpdateGrants: grpc.handleUnaryCall<_switchyard_v1_UpdateGrantsRequest__Output, _switchyard_v1_UpdateGrantsResponse>;
  
}

export interface DataAccessDefinition extends grpc.ServiceDefinition {
  TakeRefusals: MethodDefinition<_switchyard_v1_TakeRefusalsRequest, _switchyard_v1_TakeRefusalsResponse, _switchyard_v1_TakeRefusalsRequest__Output, _switchyard_v1_TakeRefusalsResponse__Output>
  UpdateGrants: MethodDefinition<_switchyard_v1_UpdateGrantsRequest, _switchyard_v1_UpdateGrantsResponse, _switchyard_v1_UpdateGrantsRequest__Output, _switchyard_v1_UpdateGrantsResponse__Output>
}

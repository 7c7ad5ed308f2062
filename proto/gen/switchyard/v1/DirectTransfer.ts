// Original file: proto/switchyard/v1/data.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { BeginUploadsRequest as _switchyard_v1_BeginUploadsRequest, BeginUploadsRequest__Output as _switchyard_v1_BeginUploadsRequest__Output } from '../../switchyard/v1/BeginUploadsRequest.ts';
import type { BeginUploadsResponse as _switchyard_v1_BeginUploadsResponse, BeginUploadsResponse__Output as _switchyard_v1_BeginUploadsResponse__Output } from '../../switchyard/v1/BeginUploadsResponse.ts';
import type { CommitUploadRequest as _switchyard_v1_CommitUploadRequest, CommitUploadRequest__Output as _switchyard_v1_CommitUploadRequest__Output } from '../../switchyard/v1/CommitUploadRequest.ts';
import type { CommitUploadResponse as _switchyard_v1_CommitUploadResponse, CommitUploadResponse__Output as _switchyard_v1_CommitUploadResponse__Output } from '../../switchyard/v1/CommitUploadResponse.ts';
import type { PlanReadsRequest as _switchyard_v1_PlanReadsRequest, PlanReadsRequest__Output as _switchyard_v1_PlanReadsRequest__Output } from '../../switchyard/v1/PlanReadsRequest.ts';
import type { PlanReadsResponse as _switchyard_v1_PlanReadsResponse, PlanReadsResponse__Output as _switchyard_v1_PlanReadsResponse__Output } from '../../switchyard/v1/PlanReadsResponse.ts';
import type { PlanUploadRequest as _switchyard_v1_PlanUploadRequest, PlanUploadRequest__Output as _switchyard_v1_PlanUploadRequest__Output } from '../../switchyard/v1/PlanUploadRequest.ts';
import type { PlanUploadResponse as _switchyard_v1_PlanUploadResponse, PlanUploadResponse__Output as _switchyard_v1_PlanUploadResponse__Output } from '../../switchyard/v1/PlanUploadResponse.ts';

export interface DirectTransferClient extends grpc.Client {
  BeginUploads(argument: _switchyard_v1_BeginUploadsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  BeginUploads(argument: _switchyard_v1_BeginUploadsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  BeginUploads(argument: _switchyard_v1_BeginUploadsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  BeginUploads(argument: _switchyard_v1_BeginUploadsRequest, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  beginUploads(argument: _switchyard_v1_BeginUploadsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  beginUploads(argument: _switchyard_v1_BeginUploadsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  beginUploads(argument: _switchyard_v1_BeginUploadsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  beginUploads(argument: _switchyard_v1_BeginUploadsRequest, callback: grpc.requestCallback<_switchyard_v1_BeginUploadsResponse__Output>): grpc.ClientUnaryCall;
  
  CommitUpload(argument: _switchyard_v1_CommitUploadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  CommitUpload(argument: _switchyard_v1_CommitUploadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  CommitUpload(argument: _switchyard_v1_CommitUploadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  CommitUpload(argument: _switchyard_v1_CommitUploadRequest, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  commitUpload(argument: _switchyard_v1_CommitUploadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  commitUpload(argument: _switchyard_v1_CommitUploadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  commitUpload(argument: _switchyard_v1_CommitUploadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  commitUpload(argument: _switchyard_v1_CommitUploadRequest, callback: grpc.requestCallback<_switchyard_v1_CommitUploadResponse__Output>): grpc.ClientUnaryCall;
  
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  PlanReads(argument: _switchyard_v1_PlanReadsRequest, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  planReads(argument: _switchyard_v1_PlanReadsRequest, callback: grpc.requestCallback<_switchyard_v1_PlanReadsResponse__Output>): grpc.ClientUnaryCall;
  
  PlanUpload(argument: _switchyard_v1_PlanUploadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  PlanUpload(argument: _switchyard_v1_PlanUploadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  PlanUpload(argument: _switchyard_v1_PlanUploadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  PlanUpload(argument: _switchyard_v1_PlanUploadRequest, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  planUpload(argument: _switchyard_v1_PlanUploadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  planUpload(argument: _switchyard_v1_PlanUploadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  planUpload(argument: _switchyard_v1_PlanUploadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  planUpload(argument: _switchyard_v1_PlanUploadRequest, callback: grpc.requestCallback<_switchyard_v1_PlanUploadResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface DirectTransferHandlers extends grpc.UntypedServiceImplementation {
  BeginUploads: grpc.handleUnaryCall<_switchyard_v1_BeginUploadsRequest__Output, _switchyard_v1_BeginUploadsResponse>;
  
  CommitUpload: grpc.handleUnaryCall<_switchyard_v1_CommitUploadRequest__Output, _switchyard_v1_CommitUploadResponse>;
  
  PlanReads: grpc.handleUnaryCall<_switchyard_v1_PlanReadsRequest__Output, _switchyard_v1_PlanReadsResponse>;
  
  PlanUpload: grpc.handleUnaryCall<_switchyard_v1_PlanUploadRequest__Output, _switchyard_v1_PlanUploadResponse>;
  
}

export interface DirectTransferDefinition extends grpc.ServiceDefinition {
  BeginUploads: MethodDefinition<_switchyard_v1_BeginUploadsRequest, _switchyard_v1_BeginUploadsResponse, _switchyard_v1_BeginUploadsRequest__Output, _switchyard_v1_BeginUploadsResponse__Output>
  CommitUpload: MethodDefinition<_switchyard_v1_CommitUploadRequest, _switchyard_v1_CommitUploadResponse, _switchyard_v1_CommitUploadRequest__Output, _switchyard_v1_CommitUploadResponse__Output>
  PlanReads: MethodDefinition<_switchyard_v1_PlanReadsRequest, _switchyard_v1_PlanReadsResponse, _switchyard_v1_PlanReadsRequest__Output, _switchyard_v1_PlanReadsResponse__Output>
  PlanUpload: MethodDefinition<_switchyard_v1_PlanUploadRequest, _switchyard_v1_PlanUploadResponse, _switchyard_v1_PlanUploadRequest__Output, _switchyard_v1_PlanUploadResponse__Output>
}

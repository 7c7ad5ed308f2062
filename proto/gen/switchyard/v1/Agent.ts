// Original file: proto/switchyard/v1/agent.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AgentBatch as _switchyard_v1_AgentBatch, AgentBatch__Output as _switchyard_v1_AgentBatch__Output } from '../../switchyard/v1/AgentBatch.ts';
import type { CoordinatorBatch as _switchyard_v1_CoordinatorBatch, CoordinatorBatch__Output as _switchyard_v1_CoordinatorBatch__Output } from '../../switchyard/v1/CoordinatorBatch.ts';

export interface AgentClient extends grpc.Client {
  Session(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_switchyard_v1_AgentBatch, _switchyard_v1_CoordinatorBatch__Output>;
  Session(options?: grpc.CallOptions): grpc.ClientDuplexStream<_switchyard_v1_AgentBatch, _switchyard_v1_CoordinatorBatch__Output>;
  session(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_switchyard_v1_AgentBatch, _switchyard_v1_CoordinatorBatch__Output>;
  session(options?: grpc.CallOptions): grpc.ClientDuplexStream<_switchyard_v1_AgentBatch, _switchyard_v1_CoordinatorBatch__Output>;
  
}

export interface AgentHandlers extends grpc.UntypedServiceImplementation {
  Session: grpc.handleBidiStreamingCall<_switchyard_v1_AgentBatch__Output, _switchyard_v1_CoordinatorBatch>;
  
}

export interface AgentDefinition extends grpc.ServiceDefinition {
  Session: MethodDefinition<_switchyard_v1_AgentBatch, _switchyard_v1_CoordinatorBatch, _switchyard_v1_AgentBatch__Output, _switchyard_v1_CoordinatorBatch__Output>
}

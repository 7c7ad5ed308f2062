import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { BeginUploadsRequest as _switchyard_v1_BeginUploadsRequest, BeginUploadsRequest__Output as _switchyard_v1_BeginUploadsRequest__Output } from './switchyard/v1/BeginUploadsRequest.ts';
import type { BeginUploadsResponse as _switchyard_v1_BeginUploadsResponse, BeginUploadsResponse__Output as _switchyard_v1_BeginUploadsResponse__Output } from './switchyard/v1/BeginUploadsResponse.ts';
import type { BlobInFrame as _switchyard_v1_BlobInFrame, BlobInFrame__Output as _switchyard_v1_BlobInFrame__Output } from './switchyard/v1/BlobInFrame.ts';
import type { CommitUploadRequest as _switchyard_v1_CommitUploadRequest, CommitUploadRequest__Output as _switchyard_v1_CommitUploadRequest__Output } from './switchyard/v1/CommitUploadRequest.ts';
import type { CommitUploadResponse as _switchyard_v1_CommitUploadResponse, CommitUploadResponse__Output as _switchyard_v1_CommitUploadResponse__Output } from './switchyard/v1/CommitUploadResponse.ts';
import type { DataAccessClient as _switchyard_v1_DataAccessClient, DataAccessDefinition as _switchyard_v1_DataAccessDefinition } from './switchyard/v1/DataAccess.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from './switchyard/v1/Digest.ts';
import type { DirectTransferClient as _switchyard_v1_DirectTransferClient, DirectTransferDefinition as _switchyard_v1_DirectTransferDefinition } from './switchyard/v1/DirectTransfer.ts';
import type { FrameRead as _switchyard_v1_FrameRead, FrameRead__Output as _switchyard_v1_FrameRead__Output } from './switchyard/v1/FrameRead.ts';
import type { KeyPart as _switchyard_v1_KeyPart, KeyPart__Output as _switchyard_v1_KeyPart__Output } from './switchyard/v1/KeyPart.ts';
import type { LargeBlob as _switchyard_v1_LargeBlob, LargeBlob__Output as _switchyard_v1_LargeBlob__Output } from './switchyard/v1/LargeBlob.ts';
import type { OutputDirectory as _switchyard_v1_OutputDirectory, OutputDirectory__Output as _switchyard_v1_OutputDirectory__Output } from './switchyard/v1/OutputDirectory.ts';
import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from './switchyard/v1/OutputEntry.ts';
import type { OutputFile as _switchyard_v1_OutputFile, OutputFile__Output as _switchyard_v1_OutputFile__Output } from './switchyard/v1/OutputFile.ts';
import type { OutputSymlink as _switchyard_v1_OutputSymlink, OutputSymlink__Output as _switchyard_v1_OutputSymlink__Output } from './switchyard/v1/OutputSymlink.ts';
import type { PackReads as _switchyard_v1_PackReads, PackReads__Output as _switchyard_v1_PackReads__Output } from './switchyard/v1/PackReads.ts';
import type { PlanReadsRequest as _switchyard_v1_PlanReadsRequest, PlanReadsRequest__Output as _switchyard_v1_PlanReadsRequest__Output } from './switchyard/v1/PlanReadsRequest.ts';
import type { PlanReadsResponse as _switchyard_v1_PlanReadsResponse, PlanReadsResponse__Output as _switchyard_v1_PlanReadsResponse__Output } from './switchyard/v1/PlanReadsResponse.ts';
import type { PlanUploadRequest as _switchyard_v1_PlanUploadRequest, PlanUploadRequest__Output as _switchyard_v1_PlanUploadRequest__Output } from './switchyard/v1/PlanUploadRequest.ts';
import type { PlanUploadResponse as _switchyard_v1_PlanUploadResponse, PlanUploadResponse__Output as _switchyard_v1_PlanUploadResponse__Output } from './switchyard/v1/PlanUploadResponse.ts';
import type { Refusal as _switchyard_v1_Refusal, Refusal__Output as _switchyard_v1_Refusal__Output } from './switchyard/v1/Refusal.ts';
import type { RefusalBatch as _switchyard_v1_RefusalBatch, RefusalBatch__Output as _switchyard_v1_RefusalBatch__Output } from './switchyard/v1/RefusalBatch.ts';
import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from './switchyard/v1/Resources.ts';
import type { Restore as _switchyard_v1_Restore, Restore__Output as _switchyard_v1_Restore__Output } from './switchyard/v1/Restore.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from './switchyard/v1/StepResult.ts';
import type { TakeRefusalsRequest as _switchyard_v1_TakeRefusalsRequest, TakeRefusalsRequest__Output as _switchyard_v1_TakeRefusalsRequest__Output } from './switchyard/v1/TakeRefusalsRequest.ts';
import type { TakeRefusalsResponse as _switchyard_v1_TakeRefusalsResponse, TakeRefusalsResponse__Output as _switchyard_v1_TakeRefusalsResponse__Output } from './switchyard/v1/TakeRefusalsResponse.ts';
import type { UpdateGrantsRequest as _switchyard_v1_UpdateGrantsRequest, UpdateGrantsRequest__Output as _switchyard_v1_UpdateGrantsRequest__Output } from './switchyard/v1/UpdateGrantsRequest.ts';
import type { UpdateGrantsResponse as _switchyard_v1_UpdateGrantsResponse, UpdateGrantsResponse__Output as _switchyard_v1_UpdateGrantsResponse__Output } from './switchyard/v1/UpdateGrantsResponse.ts';
import type { Usage as _switchyard_v1_Usage, Usage__Output as _switchyard_v1_Usage__Output } from './switchyard/v1/Usage.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  switchyard: {
    v1: {
      BeginUploadsRequest: MessageTypeDefinition<_switchyard_v1_BeginUploadsRequest, _switchyard_v1_BeginUploadsRequest__Output>
      BeginUploadsResponse: MessageTypeDefinition<_switchyard_v1_BeginUploadsResponse, _switchyard_v1_BeginUploadsResponse__Output>
      BlobInFrame: MessageTypeDefinition<_switchyard_v1_BlobInFrame, _switchyard_v1_BlobInFrame__Output>
      CommitUploadRequest: MessageTypeDefinition<_switchyard_v1_CommitUploadRequest, _switchyard_v1_CommitUploadRequest__Output>
      CommitUploadResponse: MessageTypeDefinition<_switchyard_v1_CommitUploadResponse, _switchyard_v1_CommitUploadResponse__Output>
      DataAccess: SubtypeConstructor<typeof grpc.Client, _switchyard_v1_DataAccessClient> & { service: _switchyard_v1_DataAccessDefinition }
      Digest: MessageTypeDefinition<_switchyard_v1_Digest, _switchyard_v1_Digest__Output>
      DirectTransfer: SubtypeConstructor<typeof grpc.Client, _switchyard_v1_DirectTransferClient> & { service: _switchyard_v1_DirectTransferDefinition }
      FailureClass: EnumTypeDefinition
      FrameRead: MessageTypeDefinition<_switchyard_v1_FrameRead, _switchyard_v1_FrameRead__Output>
      KeyPart: MessageTypeDefinition<_switchyard_v1_KeyPart, _switchyard_v1_KeyPart__Output>
      LargeBlob: MessageTypeDefinition<_switchyard_v1_LargeBlob, _switchyard_v1_LargeBlob__Output>
      OutputDirectory: MessageTypeDefinition<_switchyard_v1_OutputDirectory, _switchyard_v1_OutputDirectory__Output>
      OutputEntry: MessageTypeDefinition<_switchyard_v1_OutputEntry, _switchyard_v1_OutputEntry__Output>
      OutputFile: MessageTypeDefinition<_switchyard_v1_OutputFile, _switchyard_v1_OutputFile__Output>
      OutputSymlink: MessageTypeDefinition<_switchyard_v1_OutputSymlink, _switchyard_v1_OutputSymlink__Output>
      PackReads: MessageTypeDefinition<_switchyard_v1_PackReads, _switchyard_v1_PackReads__Output>
      PlanReadsRequest: MessageTypeDefinition<_switchyard_v1_PlanReadsRequest, _switchyard_v1_PlanReadsRequest__Output>
      PlanReadsResponse: MessageTypeDefinition<_switchyard_v1_PlanReadsResponse, _switchyard_v1_PlanReadsResponse__Output>
      PlanUploadRequest: MessageTypeDefinition<_switchyard_v1_PlanUploadRequest, _switchyard_v1_PlanUploadRequest__Output>
      PlanUploadResponse: MessageTypeDefinition<_switchyard_v1_PlanUploadResponse, _switchyard_v1_PlanUploadResponse__Output>
      Refusal: MessageTypeDefinition<_switchyard_v1_Refusal, _switchyard_v1_Refusal__Output>
      RefusalBatch: MessageTypeDefinition<_switchyard_v1_RefusalBatch, _switchyard_v1_RefusalBatch__Output>
      Resources: MessageTypeDefinition<_switchyard_v1_Resources, _switchyard_v1_Resources__Output>
      Restore: MessageTypeDefinition<_switchyard_v1_Restore, _switchyard_v1_Restore__Output>
      SandboxTrait: EnumTypeDefinition
      StepResult: MessageTypeDefinition<_switchyard_v1_StepResult, _switchyard_v1_StepResult__Output>
      TakeRefusalsRequest: MessageTypeDefinition<_switchyard_v1_TakeRefusalsRequest, _switchyard_v1_TakeRefusalsRequest__Output>
      TakeRefusalsResponse: MessageTypeDefinition<_switchyard_v1_TakeRefusalsResponse, _switchyard_v1_TakeRefusalsResponse__Output>
      UpdateGrantsRequest: MessageTypeDefinition<_switchyard_v1_UpdateGrantsRequest, _switchyard_v1_UpdateGrantsRequest__Output>
      UpdateGrantsResponse: MessageTypeDefinition<_switchyard_v1_UpdateGrantsResponse, _switchyard_v1_UpdateGrantsResponse__Output>
      Usage: MessageTypeDefinition<_switchyard_v1_Usage, _switchyard_v1_Usage__Output>
      Zone: EnumTypeDefinition
    }
  }
}


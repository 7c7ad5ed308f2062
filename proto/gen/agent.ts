import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { AcceptOffer as _switchyard_v1_AcceptOffer, AcceptOffer__Output as _switchyard_v1_AcceptOffer__Output } from './switchyard/v1/AcceptOffer.ts';
import type { AgentClient as _switchyard_v1_AgentClient, AgentDefinition as _switchyard_v1_AgentDefinition } from './switchyard/v1/Agent.ts';
import type { AgentBatch as _switchyard_v1_AgentBatch, AgentBatch__Output as _switchyard_v1_AgentBatch__Output } from './switchyard/v1/AgentBatch.ts';
import type { AgentDraining as _switchyard_v1_AgentDraining, AgentDraining__Output as _switchyard_v1_AgentDraining__Output } from './switchyard/v1/AgentDraining.ts';
import type { AgentLeaving as _switchyard_v1_AgentLeaving, AgentLeaving__Output as _switchyard_v1_AgentLeaving__Output } from './switchyard/v1/AgentLeaving.ts';
import type { AgentMessage as _switchyard_v1_AgentMessage, AgentMessage__Output as _switchyard_v1_AgentMessage__Output } from './switchyard/v1/AgentMessage.ts';
import type { AttemptFinished as _switchyard_v1_AttemptFinished, AttemptFinished__Output as _switchyard_v1_AttemptFinished__Output } from './switchyard/v1/AttemptFinished.ts';
import type { AttemptReport as _switchyard_v1_AttemptReport, AttemptReport__Output as _switchyard_v1_AttemptReport__Output } from './switchyard/v1/AttemptReport.ts';
import type { AttemptRunning as _switchyard_v1_AttemptRunning, AttemptRunning__Output as _switchyard_v1_AttemptRunning__Output } from './switchyard/v1/AttemptRunning.ts';
import type { CancelAttempt as _switchyard_v1_CancelAttempt, CancelAttempt__Output as _switchyard_v1_CancelAttempt__Output } from './switchyard/v1/CancelAttempt.ts';
import type { CoordinatorBatch as _switchyard_v1_CoordinatorBatch, CoordinatorBatch__Output as _switchyard_v1_CoordinatorBatch__Output } from './switchyard/v1/CoordinatorBatch.ts';
import type { CoordinatorMessage as _switchyard_v1_CoordinatorMessage, CoordinatorMessage__Output as _switchyard_v1_CoordinatorMessage__Output } from './switchyard/v1/CoordinatorMessage.ts';
import type { DependencyReport as _switchyard_v1_DependencyReport, DependencyReport__Output as _switchyard_v1_DependencyReport__Output } from './switchyard/v1/DependencyReport.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from './switchyard/v1/Digest.ts';
import type { DrainAgent as _switchyard_v1_DrainAgent, DrainAgent__Output as _switchyard_v1_DrainAgent__Output } from './switchyard/v1/DrainAgent.ts';
import type { FinishedReply as _switchyard_v1_FinishedReply, FinishedReply__Output as _switchyard_v1_FinishedReply__Output } from './switchyard/v1/FinishedReply.ts';
import type { Heartbeat as _switchyard_v1_Heartbeat, Heartbeat__Output as _switchyard_v1_Heartbeat__Output } from './switchyard/v1/Heartbeat.ts';
import type { HeartbeatReply as _switchyard_v1_HeartbeatReply, HeartbeatReply__Output as _switchyard_v1_HeartbeatReply__Output } from './switchyard/v1/HeartbeatReply.ts';
import type { HeldLease as _switchyard_v1_HeldLease, HeldLease__Output as _switchyard_v1_HeldLease__Output } from './switchyard/v1/HeldLease.ts';
import type { KeyPart as _switchyard_v1_KeyPart, KeyPart__Output as _switchyard_v1_KeyPart__Output } from './switchyard/v1/KeyPart.ts';
import type { LeaseVerdict as _switchyard_v1_LeaseVerdict, LeaseVerdict__Output as _switchyard_v1_LeaseVerdict__Output } from './switchyard/v1/LeaseVerdict.ts';
import type { LogAck as _switchyard_v1_LogAck, LogAck__Output as _switchyard_v1_LogAck__Output } from './switchyard/v1/LogAck.ts';
import type { LogChunk as _switchyard_v1_LogChunk, LogChunk__Output as _switchyard_v1_LogChunk__Output } from './switchyard/v1/LogChunk.ts';
import type { Offer as _switchyard_v1_Offer, Offer__Output as _switchyard_v1_Offer__Output } from './switchyard/v1/Offer.ts';
import type { OfferWithdrawn as _switchyard_v1_OfferWithdrawn, OfferWithdrawn__Output as _switchyard_v1_OfferWithdrawn__Output } from './switchyard/v1/OfferWithdrawn.ts';
import type { OfferedDependency as _switchyard_v1_OfferedDependency, OfferedDependency__Output as _switchyard_v1_OfferedDependency__Output } from './switchyard/v1/OfferedDependency.ts';
import type { OutputDirectory as _switchyard_v1_OutputDirectory, OutputDirectory__Output as _switchyard_v1_OutputDirectory__Output } from './switchyard/v1/OutputDirectory.ts';
import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from './switchyard/v1/OutputEntry.ts';
import type { OutputFile as _switchyard_v1_OutputFile, OutputFile__Output as _switchyard_v1_OutputFile__Output } from './switchyard/v1/OutputFile.ts';
import type { OutputSymlink as _switchyard_v1_OutputSymlink, OutputSymlink__Output as _switchyard_v1_OutputSymlink__Output } from './switchyard/v1/OutputSymlink.ts';
import type { Refused as _switchyard_v1_Refused, Refused__Output as _switchyard_v1_Refused__Output } from './switchyard/v1/Refused.ts';
import type { Register as _switchyard_v1_Register, Register__Output as _switchyard_v1_Register__Output } from './switchyard/v1/Register.ts';
import type { Registered as _switchyard_v1_Registered, Registered__Output as _switchyard_v1_Registered__Output } from './switchyard/v1/Registered.ts';
import type { RejectOffer as _switchyard_v1_RejectOffer, RejectOffer__Output as _switchyard_v1_RejectOffer__Output } from './switchyard/v1/RejectOffer.ts';
import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from './switchyard/v1/Resources.ts';
import type { Restore as _switchyard_v1_Restore, Restore__Output as _switchyard_v1_Restore__Output } from './switchyard/v1/Restore.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from './switchyard/v1/StepResult.ts';
import type { Usage as _switchyard_v1_Usage, Usage__Output as _switchyard_v1_Usage__Output } from './switchyard/v1/Usage.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  switchyard: {
    v1: {
      AcceptOffer: MessageTypeDefinition<_switchyard_v1_AcceptOffer, _switchyard_v1_AcceptOffer__Output>
      Agent: SubtypeConstructor<typeof grpc.Client, _switchyard_v1_AgentClient> & { service: _switchyard_v1_AgentDefinition }
      AgentBatch: MessageTypeDefinition<_switchyard_v1_AgentBatch, _switchyard_v1_AgentBatch__Output>
      AgentDraining: MessageTypeDefinition<_switchyard_v1_AgentDraining, _switchyard_v1_AgentDraining__Output>
      AgentLeaving: MessageTypeDefinition<_switchyard_v1_AgentLeaving, _switchyard_v1_AgentLeaving__Output>
      AgentMessage: MessageTypeDefinition<_switchyard_v1_AgentMessage, _switchyard_v1_AgentMessage__Output>
      AttemptFinished: MessageTypeDefinition<_switchyard_v1_AttemptFinished, _switchyard_v1_AttemptFinished__Output>
      AttemptReport: MessageTypeDefinition<_switchyard_v1_AttemptReport, _switchyard_v1_AttemptReport__Output>
      AttemptRunning: MessageTypeDefinition<_switchyard_v1_AttemptRunning, _switchyard_v1_AttemptRunning__Output>
      CancelAttempt: MessageTypeDefinition<_switchyard_v1_CancelAttempt, _switchyard_v1_CancelAttempt__Output>
      CoordinatorBatch: MessageTypeDefinition<_switchyard_v1_CoordinatorBatch, _switchyard_v1_CoordinatorBatch__Output>
      CoordinatorMessage: MessageTypeDefinition<_switchyard_v1_CoordinatorMessage, _switchyard_v1_CoordinatorMessage__Output>
      DependencyReport: MessageTypeDefinition<_switchyard_v1_DependencyReport, _switchyard_v1_DependencyReport__Output>
      Digest: MessageTypeDefinition<_switchyard_v1_Digest, _switchyard_v1_Digest__Output>
      DrainAgent: MessageTypeDefinition<_switchyard_v1_DrainAgent, _switchyard_v1_DrainAgent__Output>
      FailureClass: EnumTypeDefinition
      FinishedReply: MessageTypeDefinition<_switchyard_v1_FinishedReply, _switchyard_v1_FinishedReply__Output>
      Heartbeat: MessageTypeDefinition<_switchyard_v1_Heartbeat, _switchyard_v1_Heartbeat__Output>
      HeartbeatReply: MessageTypeDefinition<_switchyard_v1_HeartbeatReply, _switchyard_v1_HeartbeatReply__Output>
      HeldLease: MessageTypeDefinition<_switchyard_v1_HeldLease, _switchyard_v1_HeldLease__Output>
      KeyPart: MessageTypeDefinition<_switchyard_v1_KeyPart, _switchyard_v1_KeyPart__Output>
      LeaseVerdict: MessageTypeDefinition<_switchyard_v1_LeaseVerdict, _switchyard_v1_LeaseVerdict__Output>
      LogAck: MessageTypeDefinition<_switchyard_v1_LogAck, _switchyard_v1_LogAck__Output>
      LogChunk: MessageTypeDefinition<_switchyard_v1_LogChunk, _switchyard_v1_LogChunk__Output>
      Offer: MessageTypeDefinition<_switchyard_v1_Offer, _switchyard_v1_Offer__Output>
      OfferWithdrawn: MessageTypeDefinition<_switchyard_v1_OfferWithdrawn, _switchyard_v1_OfferWithdrawn__Output>
      OfferedDependency: MessageTypeDefinition<_switchyard_v1_OfferedDependency, _switchyard_v1_OfferedDependency__Output>
      OutputDirectory: MessageTypeDefinition<_switchyard_v1_OutputDirectory, _switchyard_v1_OutputDirectory__Output>
      OutputEntry: MessageTypeDefinition<_switchyard_v1_OutputEntry, _switchyard_v1_OutputEntry__Output>
      OutputFile: MessageTypeDefinition<_switchyard_v1_OutputFile, _switchyard_v1_OutputFile__Output>
      OutputSymlink: MessageTypeDefinition<_switchyard_v1_OutputSymlink, _switchyard_v1_OutputSymlink__Output>
      Refused: MessageTypeDefinition<_switchyard_v1_Refused, _switchyard_v1_Refused__Output>
      Register: MessageTypeDefinition<_switchyard_v1_Register, _switchyard_v1_Register__Output>
      Registered: MessageTypeDefinition<_switchyard_v1_Registered, _switchyard_v1_Registered__Output>
      RejectOffer: MessageTypeDefinition<_switchyard_v1_RejectOffer, _switchyard_v1_RejectOffer__Output>
      Resources: MessageTypeDefinition<_switchyard_v1_Resources, _switchyard_v1_Resources__Output>
      Restore: MessageTypeDefinition<_switchyard_v1_Restore, _switchyard_v1_Restore__Output>
      SandboxTrait: EnumTypeDefinition
      StepResult: MessageTypeDefinition<_switchyard_v1_StepResult, _switchyard_v1_StepResult__Output>
      Usage: MessageTypeDefinition<_switchyard_v1_Usage, _switchyard_v1_Usage__Output>
      Zone: EnumTypeDefinition
    }
  }
}


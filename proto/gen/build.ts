import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { AgentFit as _switchyard_v1_AgentFit, AgentFit__Output as _switchyard_v1_AgentFit__Output } from './switchyard/v1/AgentFit.ts';
import type { AgentStatus as _switchyard_v1_AgentStatus, AgentStatus__Output as _switchyard_v1_AgentStatus__Output } from './switchyard/v1/AgentStatus.ts';
import type { ApplyTopologyRequest as _switchyard_v1_ApplyTopologyRequest, ApplyTopologyRequest__Output as _switchyard_v1_ApplyTopologyRequest__Output } from './switchyard/v1/ApplyTopologyRequest.ts';
import type { ApplyTopologyResponse as _switchyard_v1_ApplyTopologyResponse, ApplyTopologyResponse__Output as _switchyard_v1_ApplyTopologyResponse__Output } from './switchyard/v1/ApplyTopologyResponse.ts';
import type { Attempt as _switchyard_v1_Attempt, Attempt__Output as _switchyard_v1_Attempt__Output } from './switchyard/v1/Attempt.ts';
import type { AttemptAccepted as _switchyard_v1_AttemptAccepted, AttemptAccepted__Output as _switchyard_v1_AttemptAccepted__Output } from './switchyard/v1/AttemptAccepted.ts';
import type { AttemptEnded as _switchyard_v1_AttemptEnded, AttemptEnded__Output as _switchyard_v1_AttemptEnded__Output } from './switchyard/v1/AttemptEnded.ts';
import type { AttemptStarted as _switchyard_v1_AttemptStarted, AttemptStarted__Output as _switchyard_v1_AttemptStarted__Output } from './switchyard/v1/AttemptStarted.ts';
import type { BreakerStatus as _switchyard_v1_BreakerStatus, BreakerStatus__Output as _switchyard_v1_BreakerStatus__Output } from './switchyard/v1/BreakerStatus.ts';
import type { BuildClient as _switchyard_v1_BuildClient, BuildDefinition as _switchyard_v1_BuildDefinition } from './switchyard/v1/Build.ts';
import type { BuildAccepted as _switchyard_v1_BuildAccepted, BuildAccepted__Output as _switchyard_v1_BuildAccepted__Output } from './switchyard/v1/BuildAccepted.ts';
import type { BuildEnded as _switchyard_v1_BuildEnded, BuildEnded__Output as _switchyard_v1_BuildEnded__Output } from './switchyard/v1/BuildEnded.ts';
import type { BuildSummary as _switchyard_v1_BuildSummary, BuildSummary__Output as _switchyard_v1_BuildSummary__Output } from './switchyard/v1/BuildSummary.ts';
import type { CancelBuildRequest as _switchyard_v1_CancelBuildRequest, CancelBuildRequest__Output as _switchyard_v1_CancelBuildRequest__Output } from './switchyard/v1/CancelBuildRequest.ts';
import type { CancelBuildResponse as _switchyard_v1_CancelBuildResponse, CancelBuildResponse__Output as _switchyard_v1_CancelBuildResponse__Output } from './switchyard/v1/CancelBuildResponse.ts';
import type { DependencyCache as _switchyard_v1_DependencyCache, DependencyCache__Output as _switchyard_v1_DependencyCache__Output } from './switchyard/v1/DependencyCache.ts';
import type { DependencyCacheState as _switchyard_v1_DependencyCacheState, DependencyCacheState__Output as _switchyard_v1_DependencyCacheState__Output } from './switchyard/v1/DependencyCacheState.ts';
import type { DependencyStatus as _switchyard_v1_DependencyStatus, DependencyStatus__Output as _switchyard_v1_DependencyStatus__Output } from './switchyard/v1/DependencyStatus.ts';
import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from './switchyard/v1/Digest.ts';
import type { ExplainStepRequest as _switchyard_v1_ExplainStepRequest, ExplainStepRequest__Output as _switchyard_v1_ExplainStepRequest__Output } from './switchyard/v1/ExplainStepRequest.ts';
import type { ExplainStepResponse as _switchyard_v1_ExplainStepResponse, ExplainStepResponse__Output as _switchyard_v1_ExplainStepResponse__Output } from './switchyard/v1/ExplainStepResponse.ts';
import type { GetBuildRequest as _switchyard_v1_GetBuildRequest, GetBuildRequest__Output as _switchyard_v1_GetBuildRequest__Output } from './switchyard/v1/GetBuildRequest.ts';
import type { GetBuildResponse as _switchyard_v1_GetBuildResponse, GetBuildResponse__Output as _switchyard_v1_GetBuildResponse__Output } from './switchyard/v1/GetBuildResponse.ts';
import type { GetEnvironmentRequest as _switchyard_v1_GetEnvironmentRequest, GetEnvironmentRequest__Output as _switchyard_v1_GetEnvironmentRequest__Output } from './switchyard/v1/GetEnvironmentRequest.ts';
import type { GetEnvironmentResponse as _switchyard_v1_GetEnvironmentResponse, GetEnvironmentResponse__Output as _switchyard_v1_GetEnvironmentResponse__Output } from './switchyard/v1/GetEnvironmentResponse.ts';
import type { GetServerRequest as _switchyard_v1_GetServerRequest, GetServerRequest__Output as _switchyard_v1_GetServerRequest__Output } from './switchyard/v1/GetServerRequest.ts';
import type { GetServerResponse as _switchyard_v1_GetServerResponse, GetServerResponse__Output as _switchyard_v1_GetServerResponse__Output } from './switchyard/v1/GetServerResponse.ts';
import type { GetTopologyRequest as _switchyard_v1_GetTopologyRequest, GetTopologyRequest__Output as _switchyard_v1_GetTopologyRequest__Output } from './switchyard/v1/GetTopologyRequest.ts';
import type { GetTopologyResponse as _switchyard_v1_GetTopologyResponse, GetTopologyResponse__Output as _switchyard_v1_GetTopologyResponse__Output } from './switchyard/v1/GetTopologyResponse.ts';
import type { HoldStatus as _switchyard_v1_HoldStatus, HoldStatus__Output as _switchyard_v1_HoldStatus__Output } from './switchyard/v1/HoldStatus.ts';
import type { KeyPart as _switchyard_v1_KeyPart, KeyPart__Output as _switchyard_v1_KeyPart__Output } from './switchyard/v1/KeyPart.ts';
import type { ListAgentsRequest as _switchyard_v1_ListAgentsRequest, ListAgentsRequest__Output as _switchyard_v1_ListAgentsRequest__Output } from './switchyard/v1/ListAgentsRequest.ts';
import type { ListAgentsResponse as _switchyard_v1_ListAgentsResponse, ListAgentsResponse__Output as _switchyard_v1_ListAgentsResponse__Output } from './switchyard/v1/ListAgentsResponse.ts';
import type { ListBuildsRequest as _switchyard_v1_ListBuildsRequest, ListBuildsRequest__Output as _switchyard_v1_ListBuildsRequest__Output } from './switchyard/v1/ListBuildsRequest.ts';
import type { ListBuildsResponse as _switchyard_v1_ListBuildsResponse, ListBuildsResponse__Output as _switchyard_v1_ListBuildsResponse__Output } from './switchyard/v1/ListBuildsResponse.ts';
import type { ListTopologiesRequest as _switchyard_v1_ListTopologiesRequest, ListTopologiesRequest__Output as _switchyard_v1_ListTopologiesRequest__Output } from './switchyard/v1/ListTopologiesRequest.ts';
import type { ListTopologiesResponse as _switchyard_v1_ListTopologiesResponse, ListTopologiesResponse__Output as _switchyard_v1_ListTopologiesResponse__Output } from './switchyard/v1/ListTopologiesResponse.ts';
import type { Need as _switchyard_v1_Need, Need__Output as _switchyard_v1_Need__Output } from './switchyard/v1/Need.ts';
import type { OnLag as _switchyard_v1_OnLag, OnLag__Output as _switchyard_v1_OnLag__Output } from './switchyard/v1/OnLag.ts';
import type { OutputDirectory as _switchyard_v1_OutputDirectory, OutputDirectory__Output as _switchyard_v1_OutputDirectory__Output } from './switchyard/v1/OutputDirectory.ts';
import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from './switchyard/v1/OutputEntry.ts';
import type { OutputFile as _switchyard_v1_OutputFile, OutputFile__Output as _switchyard_v1_OutputFile__Output } from './switchyard/v1/OutputFile.ts';
import type { OutputSymlink as _switchyard_v1_OutputSymlink, OutputSymlink__Output as _switchyard_v1_OutputSymlink__Output } from './switchyard/v1/OutputSymlink.ts';
import type { PlanTopologyRequest as _switchyard_v1_PlanTopologyRequest, PlanTopologyRequest__Output as _switchyard_v1_PlanTopologyRequest__Output } from './switchyard/v1/PlanTopologyRequest.ts';
import type { PlanTopologyResponse as _switchyard_v1_PlanTopologyResponse, PlanTopologyResponse__Output as _switchyard_v1_PlanTopologyResponse__Output } from './switchyard/v1/PlanTopologyResponse.ts';
import type { PoolStatus as _switchyard_v1_PoolStatus, PoolStatus__Output as _switchyard_v1_PoolStatus__Output } from './switchyard/v1/PoolStatus.ts';
import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from './switchyard/v1/Resources.ts';
import type { Restore as _switchyard_v1_Restore, Restore__Output as _switchyard_v1_Restore__Output } from './switchyard/v1/Restore.ts';
import type { RetryLimit as _switchyard_v1_RetryLimit, RetryLimit__Output as _switchyard_v1_RetryLimit__Output } from './switchyard/v1/RetryLimit.ts';
import type { RetryPolicy as _switchyard_v1_RetryPolicy, RetryPolicy__Output as _switchyard_v1_RetryPolicy__Output } from './switchyard/v1/RetryPolicy.ts';
import type { RetryStepRequest as _switchyard_v1_RetryStepRequest, RetryStepRequest__Output as _switchyard_v1_RetryStepRequest__Output } from './switchyard/v1/RetryStepRequest.ts';
import type { RetryStepResponse as _switchyard_v1_RetryStepResponse, RetryStepResponse__Output as _switchyard_v1_RetryStepResponse__Output } from './switchyard/v1/RetryStepResponse.ts';
import type { ScaleInRequest as _switchyard_v1_ScaleInRequest, ScaleInRequest__Output as _switchyard_v1_ScaleInRequest__Output } from './switchyard/v1/ScaleInRequest.ts';
import type { ScaleInResponse as _switchyard_v1_ScaleInResponse, ScaleInResponse__Output as _switchyard_v1_ScaleInResponse__Output } from './switchyard/v1/ScaleInResponse.ts';
import type { ScaledInAgent as _switchyard_v1_ScaledInAgent, ScaledInAgent__Output as _switchyard_v1_ScaledInAgent__Output } from './switchyard/v1/ScaledInAgent.ts';
import type { ScoreTerm as _switchyard_v1_ScoreTerm, ScoreTerm__Output as _switchyard_v1_ScoreTerm__Output } from './switchyard/v1/ScoreTerm.ts';
import type { SetHoldRequest as _switchyard_v1_SetHoldRequest, SetHoldRequest__Output as _switchyard_v1_SetHoldRequest__Output } from './switchyard/v1/SetHoldRequest.ts';
import type { SetHoldResponse as _switchyard_v1_SetHoldResponse, SetHoldResponse__Output as _switchyard_v1_SetHoldResponse__Output } from './switchyard/v1/SetHoldResponse.ts';
import type { Step as _switchyard_v1_Step, Step__Output as _switchyard_v1_Step__Output } from './switchyard/v1/Step.ts';
import type { StepEnded as _switchyard_v1_StepEnded, StepEnded__Output as _switchyard_v1_StepEnded__Output } from './switchyard/v1/StepEnded.ts';
import type { StepMerged as _switchyard_v1_StepMerged, StepMerged__Output as _switchyard_v1_StepMerged__Output } from './switchyard/v1/StepMerged.ts';
import type { StepQueued as _switchyard_v1_StepQueued, StepQueued__Output as _switchyard_v1_StepQueued__Output } from './switchyard/v1/StepQueued.ts';
import type { StepReady as _switchyard_v1_StepReady, StepReady__Output as _switchyard_v1_StepReady__Output } from './switchyard/v1/StepReady.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from './switchyard/v1/StepResult.ts';
import type { StepSpec as _switchyard_v1_StepSpec, StepSpec__Output as _switchyard_v1_StepSpec__Output } from './switchyard/v1/StepSpec.ts';
import type { StrandedSteps as _switchyard_v1_StrandedSteps, StrandedSteps__Output as _switchyard_v1_StrandedSteps__Output } from './switchyard/v1/StrandedSteps.ts';
import type { StreamLogRequest as _switchyard_v1_StreamLogRequest, StreamLogRequest__Output as _switchyard_v1_StreamLogRequest__Output } from './switchyard/v1/StreamLogRequest.ts';
import type { StreamLogResponse as _switchyard_v1_StreamLogResponse, StreamLogResponse__Output as _switchyard_v1_StreamLogResponse__Output } from './switchyard/v1/StreamLogResponse.ts';
import type { SubmitBuildRequest as _switchyard_v1_SubmitBuildRequest, SubmitBuildRequest__Output as _switchyard_v1_SubmitBuildRequest__Output } from './switchyard/v1/SubmitBuildRequest.ts';
import type { SubmitBuildResponse as _switchyard_v1_SubmitBuildResponse, SubmitBuildResponse__Output as _switchyard_v1_SubmitBuildResponse__Output } from './switchyard/v1/SubmitBuildResponse.ts';
import type { TopologyAgentChange as _switchyard_v1_TopologyAgentChange, TopologyAgentChange__Output as _switchyard_v1_TopologyAgentChange__Output } from './switchyard/v1/TopologyAgentChange.ts';
import type { TopologyProblem as _switchyard_v1_TopologyProblem, TopologyProblem__Output as _switchyard_v1_TopologyProblem__Output } from './switchyard/v1/TopologyProblem.ts';
import type { TopologyRevision as _switchyard_v1_TopologyRevision, TopologyRevision__Output as _switchyard_v1_TopologyRevision__Output } from './switchyard/v1/TopologyRevision.ts';
import type { Usage as _switchyard_v1_Usage, Usage__Output as _switchyard_v1_Usage__Output } from './switchyard/v1/Usage.ts';
import type { WatchBuildRequest as _switchyard_v1_WatchBuildRequest, WatchBuildRequest__Output as _switchyard_v1_WatchBuildRequest__Output } from './switchyard/v1/WatchBuildRequest.ts';
import type { WatchBuildResponse as _switchyard_v1_WatchBuildResponse, WatchBuildResponse__Output as _switchyard_v1_WatchBuildResponse__Output } from './switchyard/v1/WatchBuildResponse.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  switchyard: {
    v1: {
      AgentFit: MessageTypeDefinition<_switchyard_v1_AgentFit, _switchyard_v1_AgentFit__Output>
      AgentStatus: MessageTypeDefinition<_switchyard_v1_AgentStatus, _switchyard_v1_AgentStatus__Output>
      ApplyTopologyRequest: MessageTypeDefinition<_switchyard_v1_ApplyTopologyRequest, _switchyard_v1_ApplyTopologyRequest__Output>
      ApplyTopologyResponse: MessageTypeDefinition<_switchyard_v1_ApplyTopologyResponse, _switchyard_v1_ApplyTopologyResponse__Output>
      Attempt: MessageTypeDefinition<_switchyard_v1_Attempt, _switchyard_v1_Attempt__Output>
      AttemptAccepted: MessageTypeDefinition<_switchyard_v1_AttemptAccepted, _switchyard_v1_AttemptAccepted__Output>
      AttemptEnded: MessageTypeDefinition<_switchyard_v1_AttemptEnded, _switchyard_v1_AttemptEnded__Output>
      AttemptStarted: MessageTypeDefinition<_switchyard_v1_AttemptStarted, _switchyard_v1_AttemptStarted__Output>
      BreakerStatus: MessageTypeDefinition<_switchyard_v1_BreakerStatus, _switchyard_v1_BreakerStatus__Output>
      Build: SubtypeConstructor<typeof grpc.Client, _switchyard_v1_BuildClient> & { service: _switchyard_v1_BuildDefinition }
      BuildAccepted: MessageTypeDefinition<_switchyard_v1_BuildAccepted, _switchyard_v1_BuildAccepted__Output>
      BuildEnded: MessageTypeDefinition<_switchyard_v1_BuildEnded, _switchyard_v1_BuildEnded__Output>
      BuildPhase: EnumTypeDefinition
      BuildSummary: MessageTypeDefinition<_switchyard_v1_BuildSummary, _switchyard_v1_BuildSummary__Output>
      BuildVerdict: EnumTypeDefinition
      CancelBuildRequest: MessageTypeDefinition<_switchyard_v1_CancelBuildRequest, _switchyard_v1_CancelBuildRequest__Output>
      CancelBuildResponse: MessageTypeDefinition<_switchyard_v1_CancelBuildResponse, _switchyard_v1_CancelBuildResponse__Output>
      CoordinatorRole: EnumTypeDefinition
      DependencyCache: MessageTypeDefinition<_switchyard_v1_DependencyCache, _switchyard_v1_DependencyCache__Output>
      DependencyCacheState: MessageTypeDefinition<_switchyard_v1_DependencyCacheState, _switchyard_v1_DependencyCacheState__Output>
      DependencyFound: EnumTypeDefinition
      DependencyPolicy: EnumTypeDefinition
      DependencySave: EnumTypeDefinition
      DependencyStatus: MessageTypeDefinition<_switchyard_v1_DependencyStatus, _switchyard_v1_DependencyStatus__Output>
      Digest: MessageTypeDefinition<_switchyard_v1_Digest, _switchyard_v1_Digest__Output>
      ExplainStepRequest: MessageTypeDefinition<_switchyard_v1_ExplainStepRequest, _switchyard_v1_ExplainStepRequest__Output>
      ExplainStepResponse: MessageTypeDefinition<_switchyard_v1_ExplainStepResponse, _switchyard_v1_ExplainStepResponse__Output>
      FailureClass: EnumTypeDefinition
      GetBuildRequest: MessageTypeDefinition<_switchyard_v1_GetBuildRequest, _switchyard_v1_GetBuildRequest__Output>
      GetBuildResponse: MessageTypeDefinition<_switchyard_v1_GetBuildResponse, _switchyard_v1_GetBuildResponse__Output>
      GetEnvironmentRequest: MessageTypeDefinition<_switchyard_v1_GetEnvironmentRequest, _switchyard_v1_GetEnvironmentRequest__Output>
      GetEnvironmentResponse: MessageTypeDefinition<_switchyard_v1_GetEnvironmentResponse, _switchyard_v1_GetEnvironmentResponse__Output>
      GetServerRequest: MessageTypeDefinition<_switchyard_v1_GetServerRequest, _switchyard_v1_GetServerRequest__Output>
      GetServerResponse: MessageTypeDefinition<_switchyard_v1_GetServerResponse, _switchyard_v1_GetServerResponse__Output>
      GetTopologyRequest: MessageTypeDefinition<_switchyard_v1_GetTopologyRequest, _switchyard_v1_GetTopologyRequest__Output>
      GetTopologyResponse: MessageTypeDefinition<_switchyard_v1_GetTopologyResponse, _switchyard_v1_GetTopologyResponse__Output>
      HoldKind: EnumTypeDefinition
      HoldStatus: MessageTypeDefinition<_switchyard_v1_HoldStatus, _switchyard_v1_HoldStatus__Output>
      KeyPart: MessageTypeDefinition<_switchyard_v1_KeyPart, _switchyard_v1_KeyPart__Output>
      LagUse: EnumTypeDefinition
      ListAgentsRequest: MessageTypeDefinition<_switchyard_v1_ListAgentsRequest, _switchyard_v1_ListAgentsRequest__Output>
      ListAgentsResponse: MessageTypeDefinition<_switchyard_v1_ListAgentsResponse, _switchyard_v1_ListAgentsResponse__Output>
      ListBuildsRequest: MessageTypeDefinition<_switchyard_v1_ListBuildsRequest, _switchyard_v1_ListBuildsRequest__Output>
      ListBuildsResponse: MessageTypeDefinition<_switchyard_v1_ListBuildsResponse, _switchyard_v1_ListBuildsResponse__Output>
      ListTopologiesRequest: MessageTypeDefinition<_switchyard_v1_ListTopologiesRequest, _switchyard_v1_ListTopologiesRequest__Output>
      ListTopologiesResponse: MessageTypeDefinition<_switchyard_v1_ListTopologiesResponse, _switchyard_v1_ListTopologiesResponse__Output>
      Need: MessageTypeDefinition<_switchyard_v1_Need, _switchyard_v1_Need__Output>
      OnLag: MessageTypeDefinition<_switchyard_v1_OnLag, _switchyard_v1_OnLag__Output>
      OutputDirectory: MessageTypeDefinition<_switchyard_v1_OutputDirectory, _switchyard_v1_OutputDirectory__Output>
      OutputEntry: MessageTypeDefinition<_switchyard_v1_OutputEntry, _switchyard_v1_OutputEntry__Output>
      OutputFile: MessageTypeDefinition<_switchyard_v1_OutputFile, _switchyard_v1_OutputFile__Output>
      OutputSymlink: MessageTypeDefinition<_switchyard_v1_OutputSymlink, _switchyard_v1_OutputSymlink__Output>
      PlanTopologyRequest: MessageTypeDefinition<_switchyard_v1_PlanTopologyRequest, _switchyard_v1_PlanTopologyRequest__Output>
      PlanTopologyResponse: MessageTypeDefinition<_switchyard_v1_PlanTopologyResponse, _switchyard_v1_PlanTopologyResponse__Output>
      PoolStatus: MessageTypeDefinition<_switchyard_v1_PoolStatus, _switchyard_v1_PoolStatus__Output>
      Resources: MessageTypeDefinition<_switchyard_v1_Resources, _switchyard_v1_Resources__Output>
      Restore: MessageTypeDefinition<_switchyard_v1_Restore, _switchyard_v1_Restore__Output>
      ResultSource: EnumTypeDefinition
      RetryLimit: MessageTypeDefinition<_switchyard_v1_RetryLimit, _switchyard_v1_RetryLimit__Output>
      RetryPolicy: MessageTypeDefinition<_switchyard_v1_RetryPolicy, _switchyard_v1_RetryPolicy__Output>
      RetryStepRequest: MessageTypeDefinition<_switchyard_v1_RetryStepRequest, _switchyard_v1_RetryStepRequest__Output>
      RetryStepResponse: MessageTypeDefinition<_switchyard_v1_RetryStepResponse, _switchyard_v1_RetryStepResponse__Output>
      RunIf: EnumTypeDefinition
      SandboxTrait: EnumTypeDefinition
      ScaleInRequest: MessageTypeDefinition<_switchyard_v1_ScaleInRequest, _switchyard_v1_ScaleInRequest__Output>
      ScaleInResponse: MessageTypeDefinition<_switchyard_v1_ScaleInResponse, _switchyard_v1_ScaleInResponse__Output>
      ScaledInAgent: MessageTypeDefinition<_switchyard_v1_ScaledInAgent, _switchyard_v1_ScaledInAgent__Output>
      ScoreTerm: MessageTypeDefinition<_switchyard_v1_ScoreTerm, _switchyard_v1_ScoreTerm__Output>
      SetHoldRequest: MessageTypeDefinition<_switchyard_v1_SetHoldRequest, _switchyard_v1_SetHoldRequest__Output>
      SetHoldResponse: MessageTypeDefinition<_switchyard_v1_SetHoldResponse, _switchyard_v1_SetHoldResponse__Output>
      Step: MessageTypeDefinition<_switchyard_v1_Step, _switchyard_v1_Step__Output>
      StepEnded: MessageTypeDefinition<_switchyard_v1_StepEnded, _switchyard_v1_StepEnded__Output>
      StepMerged: MessageTypeDefinition<_switchyard_v1_StepMerged, _switchyard_v1_StepMerged__Output>
      StepPhase: EnumTypeDefinition
      StepQueued: MessageTypeDefinition<_switchyard_v1_StepQueued, _switchyard_v1_StepQueued__Output>
      StepReady: MessageTypeDefinition<_switchyard_v1_StepReady, _switchyard_v1_StepReady__Output>
      StepResult: MessageTypeDefinition<_switchyard_v1_StepResult, _switchyard_v1_StepResult__Output>
      StepSpec: MessageTypeDefinition<_switchyard_v1_StepSpec, _switchyard_v1_StepSpec__Output>
      StepVerdict: EnumTypeDefinition
      StrandedSteps: MessageTypeDefinition<_switchyard_v1_StrandedSteps, _switchyard_v1_StrandedSteps__Output>
      StreamLogRequest: MessageTypeDefinition<_switchyard_v1_StreamLogRequest, _switchyard_v1_StreamLogRequest__Output>
      StreamLogResponse: MessageTypeDefinition<_switchyard_v1_StreamLogResponse, _switchyard_v1_StreamLogResponse__Output>
      SubmitBuildRequest: MessageTypeDefinition<_switchyard_v1_SubmitBuildRequest, _switchyard_v1_SubmitBuildRequest__Output>
      SubmitBuildResponse: MessageTypeDefinition<_switchyard_v1_SubmitBuildResponse, _switchyard_v1_SubmitBuildResponse__Output>
      TopologyAgentChange: MessageTypeDefinition<_switchyard_v1_TopologyAgentChange, _switchyard_v1_TopologyAgentChange__Output>
      TopologyProblem: MessageTypeDefinition<_switchyard_v1_TopologyProblem, _switchyard_v1_TopologyProblem__Output>
      TopologyRevision: MessageTypeDefinition<_switchyard_v1_TopologyRevision, _switchyard_v1_TopologyRevision__Output>
      Usage: MessageTypeDefinition<_switchyard_v1_Usage, _switchyard_v1_Usage__Output>
      WatchBuildRequest: MessageTypeDefinition<_switchyard_v1_WatchBuildRequest, _switchyard_v1_WatchBuildRequest__Output>
      WatchBuildResponse: MessageTypeDefinition<_switchyard_v1_WatchBuildResponse, _switchyard_v1_WatchBuildResponse__Output>
      Zone: EnumTypeDefinition
    }
  }
}


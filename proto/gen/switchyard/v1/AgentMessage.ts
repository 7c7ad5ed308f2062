// Original file: proto/switchyard/v1/agent.proto

import type { Register as _switchyard_v1_Register, Register__Output as _switchyard_v1_Register__Output } from '../../switchyard/v1/Register.ts';
import type { Heartbeat as _switchyard_v1_Heartbeat, Heartbeat__Output as _switchyard_v1_Heartbeat__Output } from '../../switchyard/v1/Heartbeat.ts';
import type { AcceptOffer as _switchyard_v1_AcceptOffer, AcceptOffer__Output as _switchyard_v1_AcceptOffer__Output } from '../../switchyard/v1/AcceptOffer.ts';
import type { RejectOffer as _switchyard_v1_RejectOffer, RejectOffer__Output as _switchyard_v1_RejectOffer__Output } from '../../switchyard/v1/RejectOffer.ts';
import type { AttemptRunning as _switchyard_v1_AttemptRunning, AttemptRunning__Output as _switchyard_v1_AttemptRunning__Output } from '../../switchyard/v1/AttemptRunning.ts';
import type { LogChunk as _switchyard_v1_LogChunk, LogChunk__Output as _switchyard_v1_LogChunk__Output } from '../../switchyard/v1/LogChunk.ts';
import type { AttemptFinished as _switchyard_v1_AttemptFinished, AttemptFinished__Output as _switchyard_v1_AttemptFinished__Output } from '../../switchyard/v1/AttemptFinished.ts';
import type { AgentDraining as _switchyard_v1_AgentDraining, AgentDraining__Output as _switchyard_v1_AgentDraining__Output } from '../../switchyard/v1/AgentDraining.ts';
import type { AgentLeaving as _switchyard_v1_AgentLeaving, AgentLeaving__Output as _switchyard_v1_AgentLeaving__Output } from '../../switchyard/v1/AgentLeaving.ts';

export interface AgentMessage {
  'register'?: (_switchyard_v1_Register | null);
  'heartbeat'?: (_switchyard_v1_Heartbeat | null);
  'accept'?: (_switchyard_v1_AcceptOffer | null);
  'reject'?: (_switchyard_v1_RejectOffer | null);
  'running'?: (_switchyard_v1_AttemptRunning | null);
  'log'?: (_switchyard_v1_LogChunk | null);
  'finished'?: (_switchyard_v1_AttemptFinished | null);
  'draining'?: (_switchyard_v1_AgentDraining | null);
  'leaving'?: (_switchyard_v1_AgentLeaving | null);
  'kind'?: "register"|"heartbeat"|"accept"|"reject"|"running"|"log"|"finished"|"draining"|"leaving";
}

export interface AgentMessage__Output {
  'register'?: (_switchyard_v1_Register__Output | null);
  'heartbeat'?: (_switchyard_v1_Heartbeat__Output | null);
  'accept'?: (_switchyard_v1_AcceptOffer__Output | null);
  'reject'?: (_switchyard_v1_RejectOffer__Output | null);
  'running'?: (_switchyard_v1_AttemptRunning__Output | null);
  'log'?: (_switchyard_v1_LogChunk__Output | null);
  'finished'?: (_switchyard_v1_AttemptFinished__Output | null);
  'draining'?: (_switchyard_v1_AgentDraining__Output | null);
  'leaving'?: (_switchyard_v1_AgentLeaving__Output | null);
  'kind'?: "register"|"heartbeat"|"accept"|"reject"|"running"|"log"|"finished"|"draining"|"leaving";
}

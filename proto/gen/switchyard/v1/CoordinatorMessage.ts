// Original file: proto/switchyard/v1/agent.proto

import type { Registered as _switchyard_v1_Registered, Registered__Output as _switchyard_v1_Registered__Output } from '../../switchyard/v1/Registered.ts';
import type { Refused as _switchyard_v1_Refused, Refused__Output as _switchyard_v1_Refused__Output } from '../../switchyard/v1/Refused.ts';
import type { Offer as _switchyard_v1_Offer, Offer__Output as _switchyard_v1_Offer__Output } from '../../switchyard/v1/Offer.ts';
import type { OfferWithdrawn as _switchyard_v1_OfferWithdrawn, OfferWithdrawn__Output as _switchyard_v1_OfferWithdrawn__Output } from '../../switchyard/v1/OfferWithdrawn.ts';
import type { HeartbeatReply as _switchyard_v1_HeartbeatReply, HeartbeatReply__Output as _switchyard_v1_HeartbeatReply__Output } from '../../switchyard/v1/HeartbeatReply.ts';
import type { CancelAttempt as _switchyard_v1_CancelAttempt, CancelAttempt__Output as _switchyard_v1_CancelAttempt__Output } from '../../switchyard/v1/CancelAttempt.ts';
import type { LogAck as _switchyard_v1_LogAck, LogAck__Output as _switchyard_v1_LogAck__Output } from '../../switchyard/v1/LogAck.ts';
import type { FinishedReply as _switchyard_v1_FinishedReply, FinishedReply__Output as _switchyard_v1_FinishedReply__Output } from '../../switchyard/v1/FinishedReply.ts';
import type { DrainAgent as _switchyard_v1_DrainAgent, DrainAgent__Output as _switchyard_v1_DrainAgent__Output } from '../../switchyard/v1/DrainAgent.ts';

export interface CoordinatorMessage {
  'registered'?: (_switchyard_v1_Registered | null);
  'refused'?: (_switchyard_v1_Refused | null);
  'offer'?: (_switchyard_v1_Offer | null);
  'withdrawn'?: (_switchyard_v1_OfferWithdrawn | null);
  'heartbeatReply'?: (_switchyard_v1_HeartbeatReply | null);
  'cancel'?: (_switchyard_v1_CancelAttempt | null);
  'logAck'?: (_switchyard_v1_LogAck | null);
  'finishedReply'?: (_switchyard_v1_FinishedReply | null);
  'drain'?: (_switchyard_v1_DrainAgent | null);
  'kind'?: "registered"|"refused"|"offer"|"withdrawn"|"heartbeatReply"|"cancel"|"logAck"|"finishedReply"|"drain";
}

export interface CoordinatorMessage__Output {
  'registered'?: (_switchyard_v1_Registered__Output | null);
  'refused'?: (_switchyard_v1_Refused__Output | null);
  'offer'?: (_switchyard_v1_Offer__Output | null);
  'withdrawn'?: (_switchyard_v1_OfferWithdrawn__Output | null);
  'heartbeatReply'?: (_switchyard_v1_HeartbeatReply__Output | null);
  'cancel'?: (_switchyard_v1_CancelAttempt__Output | null);
  'logAck'?: (_switchyard_v1_LogAck__Output | null);
  'finishedReply'?: (_switchyard_v1_FinishedReply__Output | null);
  'drain'?: (_switchyard_v1_DrainAgent__Output | null);
  'kind'?: "registered"|"refused"|"offer"|"withdrawn"|"heartbeatReply"|"cancel"|"logAck"|"finishedReply"|"drain";
}

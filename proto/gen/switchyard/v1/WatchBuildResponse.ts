// Original file: proto/switchyard/v1/build.proto

import type { BuildAccepted as _switchyard_v1_BuildAccepted, BuildAccepted__Output as _switchyard_v1_BuildAccepted__Output } from '../../switchyard/v1/BuildAccepted.ts';
import type { StepReady as _switchyard_v1_StepReady, StepReady__Output as _switchyard_v1_StepReady__Output } from '../../switchyard/v1/StepReady.ts';
import type { StepQueued as _switchyard_v1_StepQueued, StepQueued__Output as _switchyard_v1_StepQueued__Output } from '../../switchyard/v1/StepQueued.ts';
import type { StepMerged as _switchyard_v1_StepMerged, StepMerged__Output as _switchyard_v1_StepMerged__Output } from '../../switchyard/v1/StepMerged.ts';
import type { AttemptAccepted as _switchyard_v1_AttemptAccepted, AttemptAccepted__Output as _switchyard_v1_AttemptAccepted__Output } from '../../switchyard/v1/AttemptAccepted.ts';
import type { AttemptStarted as _switchyard_v1_AttemptStarted, AttemptStarted__Output as _switchyard_v1_AttemptStarted__Output } from '../../switchyard/v1/AttemptStarted.ts';
import type { AttemptEnded as _switchyard_v1_AttemptEnded, AttemptEnded__Output as _switchyard_v1_AttemptEnded__Output } from '../../switchyard/v1/AttemptEnded.ts';
import type { StepEnded as _switchyard_v1_StepEnded, StepEnded__Output as _switchyard_v1_StepEnded__Output } from '../../switchyard/v1/StepEnded.ts';
import type { BuildEnded as _switchyard_v1_BuildEnded, BuildEnded__Output as _switchyard_v1_BuildEnded__Output } from '../../switchyard/v1/BuildEnded.ts';
import type { WatchBuildResponse as _switchyard_v1_WatchBuildResponse, WatchBuildResponse__Output as _switchyard_v1_WatchBuildResponse__Output } from '../../switchyard/v1/WatchBuildResponse.ts';
import type { Long } from '@grpc/proto-loader';

export interface WatchBuildResponse {
  'cursor'?: (string);
  'atMs'?: (number | string | Long);
  'step'?: (string);
  'buildAccepted'?: (_switchyard_v1_BuildAccepted | null);
  'stepReady'?: (_switchyard_v1_StepReady | null);
  'stepQueued'?: (_switchyard_v1_StepQueued | null);
  'stepMerged'?: (_switchyard_v1_StepMerged | null);
  'attemptAccepted'?: (_switchyard_v1_AttemptAccepted | null);
  'attemptStarted'?: (_switchyard_v1_AttemptStarted | null);
  'attemptEnded'?: (_switchyard_v1_AttemptEnded | null);
  'stepEnded'?: (_switchyard_v1_StepEnded | null);
  'buildEnded'?: (_switchyard_v1_BuildEnded | null);
  'more'?: (_switchyard_v1_WatchBuildResponse)[];
  'event'?: "buildAccepted"|"stepReady"|"stepQueued"|"stepMerged"|"attemptAccepted"|"attemptStarted"|"attemptEnded"|"stepEnded"|"buildEnded";
}

export interface WatchBuildResponse__Output {
  'cursor': (string);
  'atMs': (string);
  'step': (string);
  'buildAccepted'?: (_switchyard_v1_BuildAccepted__Output | null);
  'stepReady'?: (_switchyard_v1_StepReady__Output | null);
  'stepQueued'?: (_switchyard_v1_StepQueued__Output | null);
  'stepMerged'?: (_switchyard_v1_StepMerged__Output | null);
  'attemptAccepted'?: (_switchyard_v1_AttemptAccepted__Output | null);
  'attemptStarted'?: (_switchyard_v1_AttemptStarted__Output | null);
  'attemptEnded'?: (_switchyard_v1_AttemptEnded__Output | null);
  'stepEnded'?: (_switchyard_v1_StepEnded__Output | null);
  'buildEnded'?: (_switchyard_v1_BuildEnded__Output | null);
  'more': (_switchyard_v1_WatchBuildResponse__Output)[];
  'event'?: "buildAccepted"|"stepReady"|"stepQueued"|"stepMerged"|"attemptAccepted"|"attemptStarted"|"attemptEnded"|"stepEnded"|"buildEnded";
}

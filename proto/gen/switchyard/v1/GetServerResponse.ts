// Original file: proto/switchyard/v1/build.proto

import type { Zone as _switchyard_v1_Zone, Zone__Output as _switchyard_v1_Zone__Output } from '../../switchyard/v1/Zone.ts';
import type { CoordinatorRole as _switchyard_v1_CoordinatorRole, CoordinatorRole__Output as _switchyard_v1_CoordinatorRole__Output } from '../../switchyard/v1/CoordinatorRole.ts';
import type { Long } from '@grpc/proto-loader';

export interface GetServerResponse {
  'version'?: (string);
  'dataAddress'?: (string);
  'project'?: (string);
  'scope'?: (string);
  'role'?: (string);
  'zoneCeiling'?: (_switchyard_v1_Zone);
  'instanceName'?: (string);
  'requestBytesMax'?: (number | string | Long);
  'stepsPerBuildMax'?: (number);
  'nowMs'?: (number | string | Long);
  'coordinatorRole'?: (_switchyard_v1_CoordinatorRole);
  'leaderAddress'?: (string);
}

export interface GetServerResponse__Output {
  'version': (string);
  'dataAddress': (string);
  'project': (string);
  'scope': (string);
  'role': (string);
  'zoneCeiling': (_switchyard_v1_Zone__Output);
  'instanceName': (string);
  'requestBytesMax': (string);
  'stepsPerBuildMax': (number);
  'nowMs': (string);
  'coordinatorRole': (_switchyard_v1_CoordinatorRole__Output);
  'leaderAddress': (string);
}

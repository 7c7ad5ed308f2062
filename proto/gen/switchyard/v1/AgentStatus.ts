// Original file: proto/switchyard/v1/build.proto

import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from '../../switchyard/v1/Resources.ts';
import type { SandboxTrait as _switchyard_v1_SandboxTrait, SandboxTrait__Output as _switchyard_v1_SandboxTrait__Output } from '../../switchyard/v1/SandboxTrait.ts';
import type { BreakerStatus as _switchyard_v1_BreakerStatus, BreakerStatus__Output as _switchyard_v1_BreakerStatus__Output } from '../../switchyard/v1/BreakerStatus.ts';
import type { Long } from '@grpc/proto-loader';

export interface AgentStatus {
  'agent'?: (string);
  'connected'?: (boolean);
  'labels'?: ({[key: string]: string});
  'capacity'?: (_switchyard_v1_Resources | null);
  'free'?: (_switchyard_v1_Resources | null);
  'sandbox'?: (_switchyard_v1_SandboxTrait)[];
  'running'?: (string)[];
  'draining'?: (boolean);
  'version'?: (string);
  'registeredAtMs'?: (number | string | Long);
  'breaker'?: (_switchyard_v1_BreakerStatus | null);
  'cordoned'?: (string);
  'keptFrom'?: (string);
}

export interface AgentStatus__Output {
  'agent': (string);
  'connected': (boolean);
  'labels': ({[key: string]: string});
  'capacity': (_switchyard_v1_Resources__Output | null);
  'free': (_switchyard_v1_Resources__Output | null);
  'sandbox': (_switchyard_v1_SandboxTrait__Output)[];
  'running': (string)[];
  'draining': (boolean);
  'version': (string);
  'registeredAtMs': (string);
  'breaker': (_switchyard_v1_BreakerStatus__Output | null);
  'cordoned': (string);
  'keptFrom': (string);
}

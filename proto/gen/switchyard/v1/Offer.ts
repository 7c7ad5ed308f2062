// Original file: proto/switchyard/v1/agent.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from '../../switchyard/v1/Resources.ts';
import type { SandboxTrait as _switchyard_v1_SandboxTrait, SandboxTrait__Output as _switchyard_v1_SandboxTrait__Output } from '../../switchyard/v1/SandboxTrait.ts';
import type { OfferedDependency as _switchyard_v1_OfferedDependency, OfferedDependency__Output as _switchyard_v1_OfferedDependency__Output } from '../../switchyard/v1/OfferedDependency.ts';
import type { Long } from '@grpc/proto-loader';

export interface Offer {
  'token'?: (string);
  'buildId'?: (string);
  'step'?: (string);
  'attempt'?: (number);
  'leaseTtlMs'?: (number | string | Long);
  'command'?: (string)[];
  'env'?: ({[key: string]: string});
  'passEnv'?: (string)[];
  'workingDirectory'?: (string);
  'inputRoot'?: (_switchyard_v1_Digest | null);
  'outputs'?: (string)[];
  'resources'?: (_switchyard_v1_Resources | null);
  'network'?: (boolean);
  'sandbox'?: (_switchyard_v1_SandboxTrait)[];
  'sideEffects'?: (boolean);
  'runTimeoutMs'?: (number | string | Long);
  'graceMs'?: (number | string | Long);
  'instanceName'?: (string);
  'dependencies'?: (_switchyard_v1_OfferedDependency)[];
  'grant'?: (string);
  'streamsApart'?: (boolean);
}

export interface Offer__Output {
  'token': (string);
  'buildId': (string);
  'step': (string);
  'attempt': (number);
  'leaseTtlMs': (string);
  'command': (string)[];
  'env': ({[key: string]: string});
  'passEnv': (string)[];
  'workingDirectory': (string);
  'inputRoot': (_switchyard_v1_Digest__Output | null);
  'outputs': (string)[];
  'resources': (_switchyard_v1_Resources__Output | null);
  'network': (boolean);
  'sandbox': (_switchyard_v1_SandboxTrait__Output)[];
  'sideEffects': (boolean);
  'runTimeoutMs': (string);
  'graceMs': (string);
  'instanceName': (string);
  'dependencies': (_switchyard_v1_OfferedDependency__Output)[];
  'grant': (string);
  'streamsApart': (boolean);
}

// Original file: proto/switchyard/v1/build.proto

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from '../../switchyard/v1/Digest.ts';
import type { Need as _switchyard_v1_Need, Need__Output as _switchyard_v1_Need__Output } from '../../switchyard/v1/Need.ts';
import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from '../../switchyard/v1/Resources.ts';
import type { Zone as _switchyard_v1_Zone, Zone__Output as _switchyard_v1_Zone__Output } from '../../switchyard/v1/Zone.ts';
import type { SandboxTrait as _switchyard_v1_SandboxTrait, SandboxTrait__Output as _switchyard_v1_SandboxTrait__Output } from '../../switchyard/v1/SandboxTrait.ts';
import type { OnLag as _switchyard_v1_OnLag, OnLag__Output as _switchyard_v1_OnLag__Output } from '../../switchyard/v1/OnLag.ts';
import type { RunIf as _switchyard_v1_RunIf, RunIf__Output as _switchyard_v1_RunIf__Output } from '../../switchyard/v1/RunIf.ts';
import type { RetryPolicy as _switchyard_v1_RetryPolicy, RetryPolicy__Output as _switchyard_v1_RetryPolicy__Output } from '../../switchyard/v1/RetryPolicy.ts';
import type { DependencyCache as _switchyard_v1_DependencyCache, DependencyCache__Output as _switchyard_v1_DependencyCache__Output } from '../../switchyard/v1/DependencyCache.ts';
import type { Long } from '@grpc/proto-loader';

export interface StepSpec {
  'name'?: (string);
  'command'?: (string)[];
  'env'?: ({[key: string]: string});
  'passEnv'?: (string)[];
  'workingDirectory'?: (string);
  'inputRoot'?: (_switchyard_v1_Digest | null);
  'inputBytes'?: (number | string | Long);
  'needs'?: (_switchyard_v1_Need)[];
  'outputs'?: (string)[];
  'selector'?: (string);
  'resources'?: (_switchyard_v1_Resources | null);
  'zone'?: (_switchyard_v1_Zone);
  'sandbox'?: (_switchyard_v1_SandboxTrait)[];
  'network'?: (boolean);
  'cacheable'?: (boolean);
  'salt'?: (string);
  'sideEffects'?: (boolean);
  'critical'?: (boolean);
  'onLag'?: (_switchyard_v1_OnLag | null);
  'runIf'?: (_switchyard_v1_RunIf);
  'priority'?: (number);
  'queueTimeoutMs'?: (number | string | Long);
  'runTimeoutMs'?: (number | string | Long);
  'totalTimeoutMs'?: (number | string | Long);
  'graceMs'?: (number | string | Long);
  'retry'?: (_switchyard_v1_RetryPolicy | null);
  'dependencyCaches'?: (_switchyard_v1_DependencyCache)[];
  'environment'?: (string);
  '_sideEffects'?: "sideEffects";
  '_critical'?: "critical";
}

export interface StepSpec__Output {
  'name': (string);
  'command': (string)[];
  'env': ({[key: string]: string});
  'passEnv': (string)[];
  'workingDirectory': (string);
  'inputRoot': (_switchyard_v1_Digest__Output | null);
  'inputBytes': (string);
  'needs': (_switchyard_v1_Need__Output)[];
  'outputs': (string)[];
  'selector': (string);
  'resources': (_switchyard_v1_Resources__Output | null);
  'zone': (_switchyard_v1_Zone__Output);
  'sandbox': (_switchyard_v1_SandboxTrait__Output)[];
  'network': (boolean);
  'cacheable': (boolean);
  'salt': (string);
  'sideEffects'?: (boolean);
  'critical'?: (boolean);
  'onLag': (_switchyard_v1_OnLag__Output | null);
  'runIf': (_switchyard_v1_RunIf__Output);
  'priority': (number);
  'queueTimeoutMs': (string);
  'runTimeoutMs': (string);
  'totalTimeoutMs': (string);
  'graceMs': (string);
  'retry': (_switchyard_v1_RetryPolicy__Output | null);
  'dependencyCaches': (_switchyard_v1_DependencyCache__Output)[];
  'environment': (string);
  '_sideEffects'?: "sideEffects";
  '_critical'?: "critical";
}

// Original file: proto/switchyard/v1/agent.proto

import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from '../../switchyard/v1/Resources.ts';
import type { SandboxTrait as _switchyard_v1_SandboxTrait, SandboxTrait__Output as _switchyard_v1_SandboxTrait__Output } from '../../switchyard/v1/SandboxTrait.ts';
import type { HeldLease as _switchyard_v1_HeldLease, HeldLease__Output as _switchyard_v1_HeldLease__Output } from '../../switchyard/v1/HeldLease.ts';

export interface Register {
  'agentId'?: (string);
  'bootId'?: (string);
  'protocolMin'?: (number);
  'protocolMax'?: (number);
  'labels'?: ({[key: string]: string});
  'capacity'?: (_switchyard_v1_Resources | null);
  'sandbox'?: (_switchyard_v1_SandboxTrait)[];
  'credits'?: (number);
  'held'?: (_switchyard_v1_HeldLease)[];
  'version'?: (string);
  'draining'?: (boolean);
}

export interface Register__Output {
  'agentId': (string);
  'bootId': (string);
  'protocolMin': (number);
  'protocolMax': (number);
  'labels': ({[key: string]: string});
  'capacity': (_switchyard_v1_Resources__Output | null);
  'sandbox': (_switchyard_v1_SandboxTrait__Output)[];
  'credits': (number);
  'held': (_switchyard_v1_HeldLease__Output)[];
  'version': (string);
  'draining': (boolean);
}

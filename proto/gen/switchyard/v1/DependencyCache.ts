// Original file: proto/switchyard/v1/build.proto

import type { KeyPart as _switchyard_v1_KeyPart, KeyPart__Output as _switchyard_v1_KeyPart__Output } from '../../switchyard/v1/KeyPart.ts';
import type { DependencyPolicy as _switchyard_v1_DependencyPolicy, DependencyPolicy__Output as _switchyard_v1_DependencyPolicy__Output } from '../../switchyard/v1/DependencyPolicy.ts';

export interface DependencyCache {
  'name'?: (string);
  'paths'?: (string)[];
  'key'?: (string);
  'parts'?: (_switchyard_v1_KeyPart)[];
  'fallback'?: (string)[];
  'policy'?: (_switchyard_v1_DependencyPolicy);
  'only'?: (string)[];
  'keepModes'?: (boolean);
  'keepMtimes'?: (boolean);
}

export interface DependencyCache__Output {
  'name': (string);
  'paths': (string)[];
  'key': (string);
  'parts': (_switchyard_v1_KeyPart__Output)[];
  'fallback': (string)[];
  'policy': (_switchyard_v1_DependencyPolicy__Output);
  'only': (string)[];
  'keepModes': (boolean);
  'keepMtimes': (boolean);
}

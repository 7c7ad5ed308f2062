// Original file: proto/switchyard/v1/agent.proto

import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from '../../switchyard/v1/OutputEntry.ts';

export interface OfferedDependency {
  'name'?: (string);
  'paths'?: (string)[];
  'placed'?: (_switchyard_v1_OutputEntry)[];
  'save'?: (boolean);
  'exact'?: (boolean);
  'only'?: (string)[];
  'keepModes'?: (boolean);
  'keepMtimes'?: (boolean);
}

export interface OfferedDependency__Output {
  'name': (string);
  'paths': (string)[];
  'placed': (_switchyard_v1_OutputEntry__Output)[];
  'save': (boolean);
  'exact': (boolean);
  'only': (string)[];
  'keepModes': (boolean);
  'keepMtimes': (boolean);
}

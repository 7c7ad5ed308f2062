// Original file: proto/switchyard/v1/agent.proto

import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from '../../switchyard/v1/OutputEntry.ts';
import type { Restore as _switchyard_v1_Restore, Restore__Output as _switchyard_v1_Restore__Output } from '../../switchyard/v1/Restore.ts';

// Original file: proto/switchyard/v1/agent.proto

export const _switchyard_v1_DependencyReport_Save = {
  SAVE_UNSPECIFIED: 'SAVE_UNSPECIFIED',
  SAVE_STORED: 'SAVE_STORED',
  SAVE_DROPPED: 'SAVE_DROPPED',
} as const;

export type _switchyard_v1_DependencyReport_Save =
  | 'SAVE_UNSPECIFIED'
  | 0
  | 'SAVE_STORED'
  | 1
  | 'SAVE_DROPPED'
  | 2

export type _switchyard_v1_DependencyReport_Save__Output = typeof _switchyard_v1_DependencyReport_Save[keyof typeof _switchyard_v1_DependencyReport_Save]

export interface DependencyReport {
  'name'?: (string);
  'placeProblem'?: (string);
  'save'?: (_switchyard_v1_DependencyReport_Save);
  'stored'?: (_switchyard_v1_OutputEntry)[];
  'saveProblem'?: (string);
  'restores'?: (_switchyard_v1_Restore)[];
}

export interface DependencyReport__Output {
  'name': (string);
  'placeProblem': (string);
  'save': (_switchyard_v1_DependencyReport_Save__Output);
  'stored': (_switchyard_v1_OutputEntry__Output)[];
  'saveProblem': (string);
  'restores': (_switchyard_v1_Restore__Output)[];
}

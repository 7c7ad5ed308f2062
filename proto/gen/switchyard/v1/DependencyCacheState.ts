// Original file: proto/switchyard/v1/build.proto

import type { DependencyFound as _switchyard_v1_DependencyFound, DependencyFound__Output as _switchyard_v1_DependencyFound__Output } from '../../switchyard/v1/DependencyFound.ts';
import type { DependencySave as _switchyard_v1_DependencySave, DependencySave__Output as _switchyard_v1_DependencySave__Output } from '../../switchyard/v1/DependencySave.ts';
import type { Restore as _switchyard_v1_Restore, Restore__Output as _switchyard_v1_Restore__Output } from '../../switchyard/v1/Restore.ts';

export interface DependencyCacheState {
  'name'?: (string);
  'key'?: (string);
  'found'?: (_switchyard_v1_DependencyFound);
  'foundKey'?: (string);
  'foundScope'?: (string);
  'why'?: (string)[];
  'save'?: (_switchyard_v1_DependencySave);
  'warnings'?: (string)[];
  'restores'?: (_switchyard_v1_Restore)[];
}

export interface DependencyCacheState__Output {
  'name': (string);
  'key': (string);
  'found': (_switchyard_v1_DependencyFound__Output);
  'foundKey': (string);
  'foundScope': (string);
  'why': (string)[];
  'save': (_switchyard_v1_DependencySave__Output);
  'warnings': (string)[];
  'restores': (_switchyard_v1_Restore__Output)[];
}

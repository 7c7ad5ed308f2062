// Original file: proto/switchyard/v1/cache.proto

import type { EntryName as _switchyard_v1_EntryName, EntryName__Output as _switchyard_v1_EntryName__Output } from '../../switchyard/v1/EntryName.ts';

export interface ConsumedEntry {
  'name'?: (_switchyard_v1_EntryName | null);
  'build'?: (string);
  'agent'?: (string);
}

export interface ConsumedEntry__Output {
  'name': (_switchyard_v1_EntryName__Output | null);
  'build': (string);
  'agent': (string);
}

// Original file: proto/switchyard/v1/cache.proto

import type { EntryName as _switchyard_v1_EntryName, EntryName__Output as _switchyard_v1_EntryName__Output } from '../../switchyard/v1/EntryName.ts';

export interface _switchyard_v1_ExplainEntryResponse_Difference {
  'name'?: (string);
  'before'?: (string);
  'now'?: (string);
}

export interface _switchyard_v1_ExplainEntryResponse_Difference__Output {
  'name': (string);
  'before': (string);
  'now': (string);
}

export interface ExplainEntryResponse {
  'nearest'?: (_switchyard_v1_EntryName | null);
  'differences'?: (_switchyard_v1_ExplainEntryResponse_Difference)[];
  'causes'?: (string)[];
}

export interface ExplainEntryResponse__Output {
  'nearest': (_switchyard_v1_EntryName__Output | null);
  'differences': (_switchyard_v1_ExplainEntryResponse_Difference__Output)[];
  'causes': (string)[];
}

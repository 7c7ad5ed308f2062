// Original file: proto/switchyard/v1/cache.proto

import type { EntryKind as _switchyard_v1_EntryKind, EntryKind__Output as _switchyard_v1_EntryKind__Output } from '../../switchyard/v1/EntryKind.ts';

export interface EntryName {
  'kind'?: (_switchyard_v1_EntryKind);
  'scope'?: (string);
  'key'?: (string);
}

export interface EntryName__Output {
  'kind': (_switchyard_v1_EntryKind__Output);
  'scope': (string);
  'key': (string);
}

// Original file: proto/switchyard/v1/cache.proto

import type { EntryKind as _switchyard_v1_EntryKind, EntryKind__Output as _switchyard_v1_EntryKind__Output } from '../../switchyard/v1/EntryKind.ts';

export interface FindEntryRequest {
  'instanceName'?: (string);
  'kind'?: (_switchyard_v1_EntryKind);
  'key'?: (string);
  'prefixes'?: (string)[];
}

export interface FindEntryRequest__Output {
  'instanceName': (string);
  'kind': (_switchyard_v1_EntryKind__Output);
  'key': (string);
  'prefixes': (string)[];
}

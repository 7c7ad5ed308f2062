// Original file: proto/switchyard/v1/cache.proto

import type { EntryKind as _switchyard_v1_EntryKind, EntryKind__Output as _switchyard_v1_EntryKind__Output } from '../../switchyard/v1/EntryKind.ts';
import type { EntryKeyPart as _switchyard_v1_EntryKeyPart, EntryKeyPart__Output as _switchyard_v1_EntryKeyPart__Output } from '../../switchyard/v1/EntryKeyPart.ts';

export interface ExplainEntryRequest {
  'instanceName'?: (string);
  'kind'?: (_switchyard_v1_EntryKind);
  'key'?: (string);
  'parts'?: (_switchyard_v1_EntryKeyPart)[];
}

export interface ExplainEntryRequest__Output {
  'instanceName': (string);
  'kind': (_switchyard_v1_EntryKind__Output);
  'key': (string);
  'parts': (_switchyard_v1_EntryKeyPart__Output)[];
}

// Original file: proto/switchyard/v1/cache.proto

import type { EntryName as _switchyard_v1_EntryName, EntryName__Output as _switchyard_v1_EntryName__Output } from '../../switchyard/v1/EntryName.ts';

export interface CheckEntryRequest {
  'instanceName'?: (string);
  'name'?: (_switchyard_v1_EntryName | null);
}

export interface CheckEntryRequest__Output {
  'instanceName': (string);
  'name': (_switchyard_v1_EntryName__Output | null);
}

// Original file: proto/switchyard/v1/cache.proto

import type { EntryKind as _switchyard_v1_EntryKind, EntryKind__Output as _switchyard_v1_EntryKind__Output } from '../../switchyard/v1/EntryKind.ts';

export interface ListEntriesRequest {
  'instanceName'?: (string);
  'kind'?: (_switchyard_v1_EntryKind);
  'producer'?: (string);
  'scope'?: (string);
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListEntriesRequest__Output {
  'instanceName': (string);
  'kind': (_switchyard_v1_EntryKind__Output);
  'producer': (string);
  'scope': (string);
  'pageSize': (number);
  'pageToken': (string);
}

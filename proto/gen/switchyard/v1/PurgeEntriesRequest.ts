// Original file: proto/switchyard/v1/cache.proto

import type { EntryKind as _switchyard_v1_EntryKind, EntryKind__Output as _switchyard_v1_EntryKind__Output } from '../../switchyard/v1/EntryKind.ts';
import type { Long } from '@grpc/proto-loader';

export interface PurgeEntriesRequest {
  'instanceName'?: (string);
  'build'?: (string);
  'agent'?: (string);
  'caller'?: (string);
  'scope'?: (string);
  'kind'?: (_switchyard_v1_EntryKind);
  'key'?: (string);
  'writtenFromMs'?: (number | string | Long);
  'writtenBeforeMs'?: (number | string | Long);
  'dryRun'?: (boolean);
}

export interface PurgeEntriesRequest__Output {
  'instanceName': (string);
  'build': (string);
  'agent': (string);
  'caller': (string);
  'scope': (string);
  'kind': (_switchyard_v1_EntryKind__Output);
  'key': (string);
  'writtenFromMs': (string);
  'writtenBeforeMs': (string);
  'dryRun': (boolean);
}

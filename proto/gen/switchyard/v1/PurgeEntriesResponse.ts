// Original file: proto/switchyard/v1/cache.proto

import type { EntryName as _switchyard_v1_EntryName, EntryName__Output as _switchyard_v1_EntryName__Output } from '../../switchyard/v1/EntryName.ts';
import type { EntryProvenance as _switchyard_v1_EntryProvenance, EntryProvenance__Output as _switchyard_v1_EntryProvenance__Output } from '../../switchyard/v1/EntryProvenance.ts';
import type { Long } from '@grpc/proto-loader';

export interface _switchyard_v1_PurgeEntriesResponse_Purged {
  'name'?: (_switchyard_v1_EntryName | null);
  'provenance'?: (_switchyard_v1_EntryProvenance | null);
  'writtenAtMs'?: (number | string | Long);
  'consumed'?: (_switchyard_v1_EntryName | null);
}

export interface _switchyard_v1_PurgeEntriesResponse_Purged__Output {
  'name': (_switchyard_v1_EntryName__Output | null);
  'provenance': (_switchyard_v1_EntryProvenance__Output | null);
  'writtenAtMs': (string);
  'consumed': (_switchyard_v1_EntryName__Output | null);
}

export interface PurgeEntriesResponse {
  'entries'?: (_switchyard_v1_PurgeEntriesResponse_Purged)[];
  'entryCount'?: (number | string | Long);
  'examinedCount'?: (number | string | Long);
  'packCount'?: (number | string | Long);
  'waitingPackCount'?: (number | string | Long);
}

export interface PurgeEntriesResponse__Output {
  'entries': (_switchyard_v1_PurgeEntriesResponse_Purged__Output)[];
  'entryCount': (string);
  'examinedCount': (string);
  'packCount': (string);
  'waitingPackCount': (string);
}

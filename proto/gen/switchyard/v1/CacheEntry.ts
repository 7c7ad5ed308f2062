// Original file: proto/switchyard/v1/cache.proto

import type { EntryName as _switchyard_v1_EntryName, EntryName__Output as _switchyard_v1_EntryName__Output } from '../../switchyard/v1/EntryName.ts';
import type { EntryKeyPart as _switchyard_v1_EntryKeyPart, EntryKeyPart__Output as _switchyard_v1_EntryKeyPart__Output } from '../../switchyard/v1/EntryKeyPart.ts';
import type { EntryProvenance as _switchyard_v1_EntryProvenance, EntryProvenance__Output as _switchyard_v1_EntryProvenance__Output } from '../../switchyard/v1/EntryProvenance.ts';
import type { Long } from '@grpc/proto-loader';

export interface CacheEntry {
  'name'?: (_switchyard_v1_EntryName | null);
  'value'?: (Buffer | Uint8Array | string);
  'parts'?: (_switchyard_v1_EntryKeyPart)[];
  'provenance'?: (_switchyard_v1_EntryProvenance | null);
  'writtenAtMs'?: (number | string | Long);
}

export interface CacheEntry__Output {
  'name': (_switchyard_v1_EntryName__Output | null);
  'value': (Buffer);
  'parts': (_switchyard_v1_EntryKeyPart__Output)[];
  'provenance': (_switchyard_v1_EntryProvenance__Output | null);
  'writtenAtMs': (string);
}

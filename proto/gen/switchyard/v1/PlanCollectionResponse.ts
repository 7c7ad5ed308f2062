// Original file: proto/switchyard/v1/cache.proto

import type { EntryName as _switchyard_v1_EntryName, EntryName__Output as _switchyard_v1_EntryName__Output } from '../../switchyard/v1/EntryName.ts';
import type { Long } from '@grpc/proto-loader';

export interface _switchyard_v1_PlanCollectionResponse_PlannedEntry {
  'name'?: (_switchyard_v1_EntryName | null);
  'reason'?: (_switchyard_v1_PlanCollectionResponse_Reason);
  'usedAtMs'?: (number | string | Long);
}

export interface _switchyard_v1_PlanCollectionResponse_PlannedEntry__Output {
  'name': (_switchyard_v1_EntryName__Output | null);
  'reason': (_switchyard_v1_PlanCollectionResponse_Reason__Output);
  'usedAtMs': (string);
}

export interface _switchyard_v1_PlanCollectionResponse_PlannedPack {
  'name'?: (string);
  'scope'?: (string);
  'sizeBytes'?: (number | string | Long);
  'producer'?: (string);
  'reason'?: (_switchyard_v1_PlanCollectionResponse_Reason);
  'goesAtMs'?: (number | string | Long);
}

export interface _switchyard_v1_PlanCollectionResponse_PlannedPack__Output {
  'name': (string);
  'scope': (string);
  'sizeBytes': (string);
  'producer': (string);
  'reason': (_switchyard_v1_PlanCollectionResponse_Reason__Output);
  'goesAtMs': (string);
}

// Original file: proto/switchyard/v1/cache.proto

export const _switchyard_v1_PlanCollectionResponse_Reason = {
  REASON_UNSPECIFIED: 'REASON_UNSPECIFIED',
  REASON_UNUSED: 'REASON_UNUSED',
  REASON_HALF_DONE: 'REASON_HALF_DONE',
  REASON_UNRECORDED: 'REASON_UNRECORDED',
  REASON_IN_GRACE: 'REASON_IN_GRACE',
  REASON_GRACE_OVER: 'REASON_GRACE_OVER',
} as const;

export type _switchyard_v1_PlanCollectionResponse_Reason =
  | 'REASON_UNSPECIFIED'
  | 0
  | 'REASON_UNUSED'
  | 1
  | 'REASON_HALF_DONE'
  | 2
  | 'REASON_UNRECORDED'
  | 3
  | 'REASON_IN_GRACE'
  | 4
  | 'REASON_GRACE_OVER'
  | 5

export type _switchyard_v1_PlanCollectionResponse_Reason__Output = typeof _switchyard_v1_PlanCollectionResponse_Reason[keyof typeof _switchyard_v1_PlanCollectionResponse_Reason]

export interface PlanCollectionResponse {
  'hasPacks'?: (boolean);
  'stopped'?: (string);
  'entries'?: (_switchyard_v1_PlanCollectionResponse_PlannedEntry)[];
  'entryCount'?: (number | string | Long);
  'packs'?: (_switchyard_v1_PlanCollectionResponse_PlannedPack)[];
  'packCount'?: (number | string | Long);
  'packBytes'?: (number | string | Long);
  'orphanCount'?: (number | string | Long);
  'referencedPackCount'?: (number | string | Long);
  'heldPackCount'?: (number | string | Long);
  'recentPackCount'?: (number | string | Long);
}

export interface PlanCollectionResponse__Output {
  'hasPacks': (boolean);
  'stopped': (string);
  'entries': (_switchyard_v1_PlanCollectionResponse_PlannedEntry__Output)[];
  'entryCount': (string);
  'packs': (_switchyard_v1_PlanCollectionResponse_PlannedPack__Output)[];
  'packCount': (string);
  'packBytes': (string);
  'orphanCount': (string);
  'referencedPackCount': (string);
  'heldPackCount': (string);
  'recentPackCount': (string);
}

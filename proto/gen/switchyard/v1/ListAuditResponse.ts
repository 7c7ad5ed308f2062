// Original file: proto/switchyard/v1/identity.proto

import type { AuditRecord as _switchyard_v1_AuditRecord, AuditRecord__Output as _switchyard_v1_AuditRecord__Output } from '../../switchyard/v1/AuditRecord.ts';

export interface ListAuditResponse {
  'records'?: (_switchyard_v1_AuditRecord)[];
  'next'?: (string);
}

export interface ListAuditResponse__Output {
  'records': (_switchyard_v1_AuditRecord__Output)[];
  'next': (string);
}

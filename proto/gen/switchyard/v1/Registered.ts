// Original file: proto/switchyard/v1/agent.proto

import type { LeaseVerdict as _switchyard_v1_LeaseVerdict, LeaseVerdict__Output as _switchyard_v1_LeaseVerdict__Output } from '../../switchyard/v1/LeaseVerdict.ts';
import type { LogAck as _switchyard_v1_LogAck, LogAck__Output as _switchyard_v1_LogAck__Output } from '../../switchyard/v1/LogAck.ts';
import type { Long } from '@grpc/proto-loader';

export interface Registered {
  'protocol'?: (number);
  'epoch'?: (number | string | Long);
  'leaseTtlMs'?: (number | string | Long);
  'heartbeatMs'?: (number | string | Long);
  'offerTtlMs'?: (number | string | Long);
  'logBytesMax'?: (number | string | Long);
  'logWindowBytes'?: (number | string | Long);
  'held'?: (_switchyard_v1_LeaseVerdict)[];
  'logs'?: (_switchyard_v1_LogAck)[];
  'serverTimeMs'?: (number | string | Long);
  'dataAddress'?: (string);
}

export interface Registered__Output {
  'protocol': (number);
  'epoch': (string);
  'leaseTtlMs': (string);
  'heartbeatMs': (string);
  'offerTtlMs': (string);
  'logBytesMax': (string);
  'logWindowBytes': (string);
  'held': (_switchyard_v1_LeaseVerdict__Output)[];
  'logs': (_switchyard_v1_LogAck__Output)[];
  'serverTimeMs': (string);
  'dataAddress': (string);
}

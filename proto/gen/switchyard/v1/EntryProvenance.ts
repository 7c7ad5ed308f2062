// Original file: proto/switchyard/v1/cache.proto

import type { ConsumedEntry as _switchyard_v1_ConsumedEntry, ConsumedEntry__Output as _switchyard_v1_ConsumedEntry__Output } from '../../switchyard/v1/ConsumedEntry.ts';

export interface EntryProvenance {
  'build'?: (string);
  'step'?: (string);
  'attempt'?: (string);
  'agent'?: (string);
  'zone'?: (string);
  'caller'?: (string);
  'executed'?: (boolean);
  'consumed'?: (_switchyard_v1_ConsumedEntry)[];
}

export interface EntryProvenance__Output {
  'build': (string);
  'step': (string);
  'attempt': (string);
  'agent': (string);
  'zone': (string);
  'caller': (string);
  'executed': (boolean);
  'consumed': (_switchyard_v1_ConsumedEntry__Output)[];
}

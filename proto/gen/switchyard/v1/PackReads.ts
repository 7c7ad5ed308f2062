// Original file: proto/switchyard/v1/data.proto

import type { FrameRead as _switchyard_v1_FrameRead, FrameRead__Output as _switchyard_v1_FrameRead__Output } from '../../switchyard/v1/FrameRead.ts';

export interface PackReads {
  'url'?: (string);
  'frames'?: (_switchyard_v1_FrameRead)[];
}

export interface PackReads__Output {
  'url': (string);
  'frames': (_switchyard_v1_FrameRead__Output)[];
}

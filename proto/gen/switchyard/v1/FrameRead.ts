// Original file: proto/switchyard/v1/data.proto

import type { BlobInFrame as _switchyard_v1_BlobInFrame, BlobInFrame__Output as _switchyard_v1_BlobInFrame__Output } from '../../switchyard/v1/BlobInFrame.ts';
import type { Long } from '@grpc/proto-loader';

export interface FrameRead {
  'offset'?: (number | string | Long);
  'storedBytes'?: (number | string | Long);
  'rawBytes'?: (number | string | Long);
  'zstd'?: (boolean);
  'blobs'?: (_switchyard_v1_BlobInFrame)[];
}

export interface FrameRead__Output {
  'offset': (string);
  'storedBytes': (string);
  'rawBytes': (string);
  'zstd': (boolean);
  'blobs': (_switchyard_v1_BlobInFrame__Output)[];
}

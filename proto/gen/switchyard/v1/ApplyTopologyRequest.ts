// Original file: proto/switchyard/v1/build.proto


export interface ApplyTopologyRequest {
  'text'?: (string);
  'baseDigest'?: (string);
  'reason'?: (string);
}

export interface ApplyTopologyRequest__Output {
  'text': (string);
  'baseDigest': (string);
  'reason': (string);
}

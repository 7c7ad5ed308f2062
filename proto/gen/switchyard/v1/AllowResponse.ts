// Original file: proto/switchyard/v1/identity.proto


export interface AllowResponse {
  'wasDenied'?: (boolean);
}

export interface AllowResponse__Output {
  'wasDenied': (boolean);
}

// Original file: proto/switchyard/v1/identity.proto


export interface AllowRequest {
  'subject'?: (string);
}

export interface AllowRequest__Output {
  'subject': (string);
}

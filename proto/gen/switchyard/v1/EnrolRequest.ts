// Original file: proto/switchyard/v1/identity.proto


export interface EnrolRequest {
  'signingRequest'?: (Buffer | Uint8Array | string);
  'agentId'?: (string);
  'token'?: (string);
  'expiredCertificate'?: (string);
}

export interface EnrolRequest__Output {
  'signingRequest': (Buffer);
  'agentId': (string);
  'token': (string);
  'expiredCertificate': (string);
}

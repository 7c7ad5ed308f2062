// Original file: proto/switchyard/v1/identity.proto


export interface RevokeEnrolmentRequest {
  'id'?: (string);
}

export interface RevokeEnrolmentRequest__Output {
  'id': (string);
}

// Original file: proto/switchyard/v1/identity.proto


export interface RenewCertificateRequest {
  'signingRequest'?: (Buffer | Uint8Array | string);
}

export interface RenewCertificateRequest__Output {
  'signingRequest': (Buffer);
}

// Original file: proto/switchyard/v1/identity.proto


export interface GetAuthoritiesResponse {
  'authorities'?: (string);
}

export interface GetAuthoritiesResponse__Output {
  'authorities': (string);
}

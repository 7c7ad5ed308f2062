// Original file: proto/switchyard/v1/identity.proto


export interface GetAuthoritiesRequest {
}

export interface GetAuthoritiesRequest__Output {
}

// Original file: proto/switchyard/v1/identity.proto


export interface IdentifyResponse {
}

export interface IdentifyResponse__Output {
}

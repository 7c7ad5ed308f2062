// Original file: proto/switchyard/v1/identity.proto


export interface IdentifyRequest {
}

export interface IdentifyRequest__Output {
}

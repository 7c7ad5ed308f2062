// Original file: proto/switchyard/v1/identity.proto


export interface ListDenialsRequest {
}

export interface ListDenialsRequest__Output {
}

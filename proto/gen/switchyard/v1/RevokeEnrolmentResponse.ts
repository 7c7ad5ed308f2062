// Original file: proto/switchyard/v1/identity.proto


export interface RevokeEnrolmentResponse {
}

export interface RevokeEnrolmentResponse__Output {
}

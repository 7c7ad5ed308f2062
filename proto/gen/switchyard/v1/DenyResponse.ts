// Original file: proto/switchyard/v1/identity.proto


export interface DenyResponse {
}

export interface DenyResponse__Output {
}

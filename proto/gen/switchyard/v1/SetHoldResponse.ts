// Original file: proto/switchyard/v1/build.proto


export interface SetHoldResponse {
}

export interface SetHoldResponse__Output {
}

// Original file: proto/switchyard/v1/build.proto


export interface RetryStepResponse {
}

export interface RetryStepResponse__Output {
}

// Original file: proto/switchyard/v1/build.proto


export interface CancelBuildResponse {
}

export interface CancelBuildResponse__Output {
}

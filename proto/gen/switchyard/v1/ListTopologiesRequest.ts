// Original file: proto/switchyard/v1/build.proto


export interface ListTopologiesRequest {
}

export interface ListTopologiesRequest__Output {
}

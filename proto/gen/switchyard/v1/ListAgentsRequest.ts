// Original file: proto/switchyard/v1/build.proto


export interface ListAgentsRequest {
}

export interface ListAgentsRequest__Output {
}

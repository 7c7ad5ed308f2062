// Original file: proto/switchyard/v1/cache.proto


export interface GetStagingRequest {
}

export interface GetStagingRequest__Output {
}

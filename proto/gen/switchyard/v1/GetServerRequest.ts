// Original file: proto/switchyard/v1/build.proto


export interface GetServerRequest {
}

export interface GetServerRequest__Output {
}

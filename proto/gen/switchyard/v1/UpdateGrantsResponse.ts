// Original file: proto/switchyard/v1/data.proto


export interface UpdateGrantsResponse {
}

export interface UpdateGrantsResponse__Output {
}
